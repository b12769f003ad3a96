"""SVG elements and axes of the charts."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

#: Colours that differ for colour-blind eyes too (Okabe and Ito, 2008), without the black.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d00", "#7f7f7f")
_FONT = 13


def element(name: str, *children: str, **attributes: object) -> str:
    """An element.

    Args:
        children: markup, as it stands.
        attributes: underscores are hyphens, also at the end of names that are Python's.
    """
    markup = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_shown(value))}"' for key, value in attributes.items()
    )
    return f"<{name}{markup}>{''.join(children)}</{name}>"


def label(x: float, y: float, content: str, *, anchor: str = "start", fill: str = "currentColor") -> str:
    """A text, vertically in the middle of y."""
    return element(
        "text", escape(content), x=x, y=y, text_anchor=anchor, dominant_baseline="central", fill=fill
    )


def line(x1: float, y1: float, x2: float, y2: float, *, stroke: str = "currentColor", **more: object) -> str:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke, **more)


def grid(x1: float, y1: float, x2: float, y2: float) -> str:
    return line(x1, y1, x2, y2, stroke_opacity=0.15)


def drawing(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    """The whole; it shrinks with the page, and the title is read to those who do not see it."""
    return element(
        "svg",
        element("title", escape(title)),
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        role="img",
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        style="max-width: 100%; height: auto",
        font_size=_FONT,
        font_family="system-ui, sans-serif",
    )


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Values on a stretch of pixels."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, values: Iterable[float], *, start: float, end: float) -> "Axis":
        """From the lowest to the highest value, with a little room; of one value, around it."""
        finite = [value for value in values if math.isfinite(value)] or [0.0]
        room = (max(finite) - min(finite)) * 0.05 or 1.0
        return cls(low=min(finite) - room, high=max(finite) + room, start=start, end=end)

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, wanted: int = 5, *, least: float = 0.0) -> list[float]:
        """Round values, about so many, and no closer than `least`, which is 0 or a power of ten."""
        raw = (self.high - self.low) / wanted
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
        step = max(step, least)
        first = math.ceil(self.low / step)
        return [i * step for i in range(first, math.floor(self.high / step) + 1)]


def apart(positions: Sequence[float], *, least: float) -> list[float]:
    """The positions, moved so that no two are closer than `least`, in the same order."""
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    moved = list(positions)
    for before, after in pairwise(order):
        moved[after] = max(moved[after], moved[before] + least)
    drift = sum(new - old for new, old in zip(moved, positions, strict=True)) / max(len(positions), 1)
    return [position - drift for position in moved]


def number(value: float) -> str:
    """A tick's label."""
    return f"{0.0 if abs(value) < 1e-12 else value:.10g}"


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
