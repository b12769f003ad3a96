"""A picture of seconds over candidates, a line for each length of the prompt."""

import math
from collections.abc import Mapping
from pathlib import Path

_WIDTH, _HEIGHT = 900, 560
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 130, 50, 60
_INK, _GRID = "#222222", "#dddddd"
_COLOURS = ("#1b6ca8", "#2a9d8f", "#e9a820", "#e76f51", "#9b2226", "#6a4c93", "#444444")

#: Prompt tokens -> candidates -> seconds.
Seconds = Mapping[int, Mapping[int, float]]


def draw(seconds: Seconds, file: Path, title: str) -> None:
    """Write it as PNG, both axes logarithmic."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    pen = ImageDraw.Draw(image)
    counts = sorted({n for row in seconds.values() for n in row})
    values = [value for row in seconds.values() for value in row.values()]
    low, high = math.log10(min(values)) - 0.05, math.log10(max(values)) + 0.05
    last = math.log2(max(counts[-1], 2))

    def place(n: int, value: float) -> tuple[float, float]:
        x = _LEFT + math.log2(n) / last * (_WIDTH - _LEFT - _RIGHT)
        y = _TOP + (high - math.log10(value)) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)
        return x, y

    for n in counts:
        x, _ = place(n, 1.0)
        pen.line([(x, _TOP), (x, _HEIGHT - _BOTTOM)], fill=_GRID)
        pen.text((x, _HEIGHT - _BOTTOM + 8), str(n), fill=_INK, anchor="ma", font_size=14)
    for value in _ticks(low, high):
        _, y = place(1, value)
        pen.line([(_LEFT, y), (_WIDTH - _RIGHT, y)], fill=_GRID)
        pen.text((_LEFT - 8, y), f"{value:g}", fill=_INK, anchor="rm", font_size=14)
    for (tokens, row), colour in zip(seconds.items(), _COLOURS * len(seconds), strict=False):
        points = [place(n, row[n]) for n in sorted(row)]
        pen.line(points, fill=colour, width=3)
        x, y = points[-1]
        pen.text((x + 10, y), f"{tokens:,} tokens", fill=colour, anchor="lm", font_size=14)
    pen.text((_LEFT, 14), title, fill=_INK, font_size=18)
    pen.text((_WIDTH / 2, _HEIGHT - 24), "candidates", fill=_INK, anchor="ma", font_size=14)
    pen.text((_LEFT - 8, _TOP - 18), "seconds", fill=_INK, anchor="ra", font_size=14)
    image.save(file)


def _ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 of each power of ten between two logarithms."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    ticks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    return [tick for tick in ticks if low <= math.log10(tick) <= high]
