"""Chart of cumulative regret over requests: a panel per scenario, a line with a band per policy."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from laserve.lab.bench.chart import COLOURS, Panel, Scale

_COLUMNS, _WIDE, _HIGH = 3, 430, 330
_LEFT, _RIGHT, _TOP, _BOTTOM, _LEGEND = 60, 16, 44, 40, 76
#: Alpha of a band, in hexadecimal; low, so that the lines remain visible where bands overlap.
_ALPHA = "2c"
_SMALL = 12


def draw(scenarios: Mapping[str, Any], file: Path, title: str) -> None:
    """Write the chart as PNG; the curves are those of `play.robustness`."""
    from PIL import Image, ImageDraw

    rows = -(-len(scenarios) // _COLUMNS)
    image = Image.new("RGB", (_COLUMNS * _WIDE, rows * _HIGH + _LEGEND), "white")
    pen = ImageDraw.Draw(image, "RGBA")
    names = list(next(iter(scenarios.values()))["policies"])
    colours = dict(zip(names, COLOURS * len(names), strict=False))
    for index, (scenario, figures) in enumerate(scenarios.items()):
        row, column = divmod(index, _COLUMNS)
        left, top = column * _WIDE, row * _HIGH + _LEGEND
        box = (left + _LEFT, top + _TOP, left + _WIDE - _RIGHT, top + _HIGH - _BOTTOM)
        _draw_panel(pen, box, scenario, figures, colours)
    pen.text((_LEFT, 12), title, fill="black", font_size=18)
    x = float(_LEFT)
    for name, colour in colours.items():
        pen.line([(x, 58), (x + 22, 58)], fill=colour, width=4)
        pen.text((x + 28, 58), name, fill=colour, anchor="lm", font_size=14)
        x += 28 + pen.textlength(name, font_size=14) + 30
    image.save(file)


def _draw_panel(
    pen: Any,
    box: tuple[float, float, float, float],
    scenario: str,
    figures: Any,
    colours: Mapping[str, str],
) -> None:
    curves = {name: figures["policies"][name]["curve"] for name in colours}
    highest = max(max(curve["high"]) for curve in curves.values())
    last = max(max(curve["requests"]) for curve in curves.values())
    panel = Panel(
        pen=pen,
        box=box,
        x=Scale(low=0, high=last),
        y=Scale(low=0, high=highest * 1.05),
        font_size=_SMALL,
    )
    panel.grid(panel.x.ticks(), panel.y.ticks())
    for name, curve in curves.items():
        panel.band(curve["requests"], curve["low"], curve["high"], colours[name] + _ALPHA)
    for name, curve in curves.items():
        panel.line(curve["requests"], curve["mean"], colours[name], width=2)
    left, top, _, _ = box
    panel.text((left, top - 36), scenario, "la", size=15)
    panel.text((left, top - 15), figures["what"], "la", size=11)
