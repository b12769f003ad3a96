"""Lines over a common quantity."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING

from laserve.lab.charts.chart import COLOURS, GREY, legend, legend_height, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

#: Alpha of a band; low, so that lines remain visible where bands overlap.
_BAND = 0.15
#: Panels in a row; width and height of a panel in inches, and characters in a line above it.
_COLUMNS, _PANEL, _SAYS = 3, (4.0, 3.2), 50
#: Styles of lines that share a colour, and of bounds.
_STYLES, _BOUNDS = ("-", ":", "-."), ("--", ":", "-.")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line.

    Args:
        x, y: positions, equally many.
        band: low and high ends of a band around the line.
        bound: whether the line is a bound, which is grey and not solid.
    """

    x: Sequence[float]
    y: Sequence[float]
    band: tuple[Sequence[float], Sequence[float]] | None = None
    bound: bool = False


@dataclass(frozen=True, kw_only=True)
class LineChart:
    """Lines, each named in the legend, which is in the order of their ends.

    Args:
        across, up: names of the axes; x is counted in whole numbers.
        logarithmic: whether both axes are.
        width: in inches.
    """

    title: str
    lines: Mapping[str, Line]
    across: str
    up: str
    logarithmic: bool = False
    width: float = 8.5

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        return self.width, max(1.2 + 0.32 * self.width, legend_height(self.lines))

    def draw(self, figure: "Figure") -> None:
        """Draw the axes, the lines and the legend."""
        axes = figure.subplots()
        drawn = _plot(axes, self.lines)
        axes.set_xlabel(self.across)
        axes.set_ylabel(self.up)
        if self.logarithmic:
            _logarithmic(axes, self.lines)
        else:
            _linear(axes)
        order = sorted(drawn, key=lambda name: self.lines[name].y[-1], reverse=True)
        legend(axes, [drawn[name] for name in order], order)


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Lines of one panel, and what they are about."""

    lines: Mapping[str, Line]
    says: str


@dataclass(frozen=True, kw_only=True)
class PanelChart:
    """Panels by title, three in a row, with a common legend."""

    title: str
    panels: Mapping[str, Panel]
    across: str

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        width, height = _PANEL
        return width * min(len(self.panels), _COLUMNS), height * -(-len(self.panels) // _COLUMNS) + 0.8

    def draw(self, figure: "Figure") -> None:
        """Draw the panels in their order."""
        columns = min(len(self.panels), _COLUMNS)
        grid = figure.subplots(-(-len(self.panels) // columns), columns, squeeze=False)
        drawn: dict[str, Line2D] = {}
        for axes in grid.flat[len(self.panels) :]:
            axes.remove()
        for axes, (title, panel) in zip(grid.flat, self.panels.items(), strict=False):
            drawn = _plot(axes, panel.lines)
            axes.set_title(f"{title}\n{textwrap.fill(panel.says, _SAYS)}", loc="left", fontsize="medium")
            axes.set_xlabel(self.across)
            _linear(axes)
            axes.set_ylim(bottom=0)
        names = [wrapped(name) for name in drawn]
        figure.legend(list(drawn.values()), names, loc="outside lower left", ncols=6)


def _plot(axes: "Axes", lines: Mapping[str, Line]) -> dict[str, "Line2D"]:
    """Draw lines, with a marker where a line is a point."""
    drawn: dict[str, Line2D] = {}
    looks = cycle((colour, style) for style in _STYLES for colour in COLOURS)
    bounds = cycle((GREY, style) for style in _BOUNDS)
    for name, line in lines.items():
        colour, style = next(bounds if line.bound else looks)
        marker = "o" if len(line.x) == 1 else ""
        (drawn[name],) = axes.plot(line.x, line.y, color=colour, linestyle=style, marker=marker)
        if line.band:
            axes.fill_between(line.x, *line.band, color=colour, alpha=_BAND, linewidth=0)
    return drawn


def _linear(axes: "Axes") -> None:
    """Whole numbers across, and the line of zero where there are values on both sides of it."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    low, high = axes.get_ylim()
    if low < 0 < high:
        axes.axhline(0, color=GREY, linewidth=1, zorder=1)


def _logarithmic(axes: "Axes", lines: Mapping[str, Line]) -> None:
    """Each position across, and 1, 2 and 5 of each power of ten up, as plain numbers."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.set_xticks(sorted({x for line in lines.values() for x in line.x}))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter("{x:g}")
