"""Estimates with their intervals, a row each, beside a line at zero."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from laserve.lab.charts.svg import Axis, drawing, element, grid, label, line, number
from laserve.lab.statistics import Interval

_LEFT, _RIGHT, _TOP, _ROW, _BOTTOM = 230, 20, 34, 22, 40


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One row: an interval, or a bare value published elsewhere."""

    value: float
    low: float | None = None
    high: float | None = None
    colour: str = "currentColor"

    @classmethod
    def of(cls, one: Interval, colour: str) -> "Estimate":
        return cls(value=one.value, low=one.low, high=one.high, colour=colour)


def interval_chart(rows: Mapping[str, Estimate], *, title: str, across: str, width: int = 760) -> str:
    """A dot and its interval for each row; a bare value is a diamond."""
    height = _TOP + len(rows) * _ROW + _BOTTOM
    ends = [value for row in rows.values() for value in (row.value, row.low, row.high) if value is not None]
    x = Axis.over([0.0, *ends], start=_LEFT, end=width - _RIGHT)
    bottom = height - _BOTTOM
    parts = [label(0, 14, title)]
    for tick in x.ticks(8):
        parts += [
            grid(x.at(tick), _TOP, x.at(tick), bottom),
            label(x.at(tick), bottom + 12, number(tick), anchor="middle"),
        ]
    parts.append(line(x.at(0), _TOP, x.at(0), bottom, stroke_opacity=0.6))
    for index, (name, row) in enumerate(rows.items()):
        parts += _row(name, row, x, _TOP + (index + 0.5) * _ROW)
    parts.append(label((_LEFT + width - _RIGHT) / 2, height - 10, across, anchor="middle"))
    return drawing(width, height, title, parts)


def _row(name: str, row: Estimate, x: Axis, y: float) -> list[str]:
    at = x.at(row.value)
    if row.low is None or row.high is None:
        tooltip = element("title", escape(f"{name}: {row.value:.2f}"))
        points = f"{at - 6:g},{y:g} {at:g},{y - 6:g} {at + 6:g},{y:g} {at:g},{y + 6:g}"
        return [
            label(_LEFT - 12, y, name, anchor="end"),
            element("polygon", tooltip, points=points, fill=row.colour),
        ]
    tooltip = element("title", escape(f"{name}: {row.value:.2f} ({row.low:.2f} to {row.high:.2f})"))
    return [
        label(_LEFT - 12, y, name, anchor="end"),
        line(x.at(row.low), y, x.at(row.high), y, stroke=row.colour, stroke_width=2),
        element("circle", tooltip, cx=at, cy=y, r=4.5, fill=row.colour),
    ]
