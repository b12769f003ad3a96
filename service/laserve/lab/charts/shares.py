"""Rows of bars, each cut into the shares of a whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from laserve.lab.charts.chart import legend, legend_height, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Height of a line of a row's name, and of title and axis, in inches.
_LINE, _AROUND = 0.3, 0.7
#: Share from which its number is written into the bar.
_WRITTEN = 0.08


@dataclass(frozen=True, kw_only=True)
class ShareChart:
    """A bar for each row.

    Args:
        rows: name -> part -> share in [0, 1]; the shares of a row sum to 1.
        colours: part -> its colour, in the order of the parts.
    """

    title: str
    rows: Mapping[str, Mapping[str, float]]
    colours: Mapping[str, str]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        lines = max((wrapped(name).count("\n") + 1 for name in self.rows), default=1)
        return 8.5, max(_AROUND + _LINE * lines * len(self.rows), legend_height(self.colours))

    def draw(self, figure: "Figure") -> None:
        """Draw the rows from the top."""
        from matplotlib.patches import Patch

        axes, positions = figure.subplots(), range(len(self.rows))
        before = [0.0] * len(self.rows)
        for part, colour in self.colours.items():
            shares = [100 * row.get(part, 0.0) for row in self.rows.values()]
            drawn = axes.barh(positions, shares, left=before, color=colour, height=0.7)
            texts = [f"{share:.0f}" if share >= 100 * _WRITTEN else "" for share in shares]
            axes.bar_label(drawn, texts, label_type="center", color=_contrast(colour))
            before = [start + share for start, share in zip(before, shares, strict=True)]
        axes.set_yticks(positions, [wrapped(name) for name in self.rows])
        axes.set_ylim(len(self.rows) - 0.5, -0.5)
        axes.set_xlim(0, 100)
        axes.grid(visible=False)
        legend(axes, [Patch(color=colour) for colour in self.colours.values()], list(self.colours))


def _contrast(colour: str) -> str:
    """Black or white, whichever is easier to read on a colour ``#rrggbb``."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#ffffff"
