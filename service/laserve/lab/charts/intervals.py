"""Estimates with their intervals, a row each, beside a line at zero."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from laserve.lab.charts.chart import GREY, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Height of a line of a row's name, and of title and axis, in inches.
_LINE, _AROUND = 0.24, 0.9


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One row: a value with its interval, or a bare value published elsewhere."""

    value: float
    low: float | None = None
    high: float | None = None
    colour: str = GREY


@dataclass(frozen=True, kw_only=True)
class IntervalChart:
    """A dot and its interval for each row, by name; a bare value is a diamond."""

    title: str
    rows: Mapping[str, Estimate]
    across: str

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        lines = max((wrapped(name).count("\n") + 1 for name in self.rows), default=1)
        return 8.5, _AROUND + _LINE * lines * len(self.rows)

    def draw(self, figure: "Figure") -> None:
        """Draw the rows from the top."""
        axes = figure.subplots()
        for index, row in enumerate(self.rows.values()):
            if row.low is None or row.high is None:
                axes.plot(row.value, index, "D", color=row.colour)
            else:
                axes.plot([row.low, row.high], [index, index], color=row.colour)
                axes.plot(row.value, index, "o", color=row.colour)
        axes.axvline(0, color=GREY, linewidth=1, zorder=1)
        axes.set_yticks(range(len(self.rows)), [wrapped(name) for name in self.rows])
        axes.set_ylim(len(self.rows) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(self.across)
