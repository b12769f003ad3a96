"""Chart of seconds over candidates, a line per length of the prompt."""

from collections.abc import Mapping
from pathlib import Path

from laserve.lab.bench.chart import COLOURS, Panel, Scale

_WIDTH, _HEIGHT = 900, 560
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 130, 50, 60
#: Margin above and below the lines, as a factor.
_ROOM = 10**0.05

#: Prompt tokens -> candidates -> seconds.
Seconds = Mapping[int, Mapping[int, float]]


def draw(seconds: Seconds, file: Path, title: str) -> None:
    """Write the chart as PNG, with logarithmic axes."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    counts = sorted({n for row in seconds.values() for n in row})
    values = [value for row in seconds.values() for value in row.values()]
    panel = Panel(
        pen=ImageDraw.Draw(image),
        box=(_LEFT, _TOP, _WIDTH - _RIGHT, _HEIGHT - _BOTTOM),
        x=Scale(low=1, high=max(counts[-1], 2), log=True),
        y=Scale(low=min(values) / _ROOM, high=max(values) * _ROOM, log=True),
    )
    panel.grid(counts, panel.y.ticks())
    for (tokens, row), colour in zip(seconds.items(), COLOURS * len(seconds), strict=False):
        x, y = panel.line(sorted(row), [row[n] for n in sorted(row)], colour)
        panel.text((x + 10, y), f"{tokens:,} tokens", "lm", colour=colour)
    panel.text((_LEFT, 14), title, "la", size=18)
    panel.text((_WIDTH / 2, _HEIGHT - 24), "candidates", "ma")
    panel.text((_LEFT - 8, _TOP - 18), "seconds", "ra")
    image.save(file)
