"""Panel with two scales on an image of Pillow, for the charts of the benchmarks."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

INK, GRID = "#222222", "#dddddd"
COLOURS = (
    "#1b6ca8",
    "#2a9d8f",
    "#e9a820",
    "#e76f51",
    "#9b2226",
    "#6a4c93",
    "#444444",
    "#8ab17d",
    "#7f6a5f",
)

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Values between two ends -> 0..1, linear or logarithmic."""

    low: float
    high: float
    log: bool = False

    def share(self, value: float) -> float:
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Round values within: 1, 2 and 5 of each power of ten, or four or more steps of one of these."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            ticks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
            return [tick for tick in ticks if self.low <= tick <= self.high]
        wide = (self.high - self.low) / 4
        power = 10.0 ** math.floor(math.log10(wide))
        step = max(factor * power for factor in (1, 2, 5) if factor * power <= wide)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [step * count for count in range(first, last + 1)]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A part of the image with a plot in it.

    Args:
        pen: `ImageDraw` of the image.
        box: left, top, right and bottom of the plot, in pixels; labels stand outside.
    """

    pen: Any
    box: tuple[float, float, float, float]
    x: Scale
    y: Scale
    font_size: int = 14

    def pixel(self, x: float, y: float) -> Point:
        left, top, right, bottom = self.box
        return left + self.x.share(x) * (right - left), bottom - self.y.share(y) * (bottom - top)

    def grid(self, xs: Iterable[float], ys: Iterable[float]) -> None:
        """Lines at these values, with the values beside them."""
        left, top, right, bottom = self.box
        for x in xs:
            across, _ = self.pixel(x, self.y.low)
            self.pen.line([(across, top), (across, bottom)], fill=GRID)
            self.text((across, bottom + 8), f"{x:g}", "ma")
        for y in ys:
            _, up = self.pixel(self.x.low, y)
            self.pen.line([(left, up), (right, up)], fill=GRID)
            self.text((left - 8, up), f"{y:g}", "rm")

    def band(self, xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], colour: str) -> None:
        """The area between two lines; `colour` may have an alpha, on an image that mixes colours."""
        over = [self.pixel(x, y) for x, y in zip(xs, highs, strict=True)]
        under = [self.pixel(x, y) for x, y in zip(xs, lows, strict=True)]
        self.pen.polygon([*over, *reversed(under)], fill=colour)

    def line(self, xs: Sequence[float], ys: Sequence[float], colour: str, width: int = 3) -> Point:
        """Draw a line and return its end."""
        points = [self.pixel(x, y) for x, y in zip(xs, ys, strict=True)]
        self.pen.line(points, fill=colour, width=width)
        return points[-1]

    def text(self, at: Point, text: str, anchor: str, *, colour: str = INK, size: int | None = None) -> None:
        self.pen.text(at, text, fill=colour, anchor=anchor, font_size=size or self.font_size)
