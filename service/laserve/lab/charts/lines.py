"""Lines over a common quantity, each named at its end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from laserve.lab.charts.svg import Axis, apart, drawing, element, grid, label, line, number

_LEFT, _TOP, _BOTTOM, _LINE = 56, 34, 44, 16


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line."""

    values: Sequence[float]
    colour: str
    dashed: bool = False


def line_chart(
    positions: Sequence[float],
    series: Mapping[str, Series],
    *,
    title: str,
    across: str,
    up: str,
    width: int = 760,
    height: int = 380,
    right: int = 190,
) -> str:
    """A line for each series.

    Args:
        positions: x of the values, at least one, rising; whole numbers.
        across, up: names of the axes.
        right: room for the names of the lines.
    """
    x = Axis(low=positions[0], high=max(positions[-1], positions[0] + 1), start=_LEFT, end=width - right)
    values = [value for one in series.values() for value in one.values]
    y = Axis.over(values, start=height - _BOTTOM, end=_TOP)
    parts = [label(_LEFT, 14, title), *_frame(x, y, across, up, height)]
    if y.low < 0 < y.high:
        parts.append(line(x.start, y.at(0), x.end, y.at(0), stroke_opacity=0.5))
    ends = apart([y.at(one.values[-1]) for one in series.values()], least=_LINE)
    for (name, one), end in zip(series.items(), ends, strict=True):
        points = " ".join(
            f"{x.at(position):.1f},{y.at(value):.1f}"
            for position, value in zip(positions, one.values, strict=True)
        )
        dash = {"stroke_dasharray": "6 4"} if one.dashed else {}
        parts.append(
            element(
                "polyline",
                element("title", escape(name)),
                points=points,
                fill="none",
                stroke=one.colour,
                stroke_width=2,
                **dash,
            )
        )
        parts.append(
            line(x.end, y.at(one.values[-1]), x.end + 10, end, stroke=one.colour, stroke_opacity=0.5)
        )
        parts.append(label(x.end + 14, end, name, fill=one.colour))
    return drawing(width, height, title, parts)


def _frame(x: Axis, y: Axis, across: str, up: str, height: int) -> list[str]:
    parts = []
    for tick in y.ticks():
        parts += [
            grid(x.start, y.at(tick), x.end, y.at(tick)),
            label(x.start - 8, y.at(tick), number(tick), anchor="end"),
        ]
    parts += [
        label(x.at(tick), y.start + 14, number(tick), anchor="middle")
        for tick in x.ticks(least=1.0)
        if tick >= x.low
    ]
    middle = (x.start + x.end) / 2
    turned = element(
        "g",
        label(0, 0, up, anchor="middle"),
        transform=f"translate(12 {(y.start + y.end) / 2:g}) rotate(-90)",
    )
    return [*parts, label(middle, height - 10, across, anchor="middle"), turned]
