"""Rows of bars, each cut into the shares of a whole."""

from collections.abc import Mapping
from html import escape

from laserve.lab.charts.svg import drawing, element, label

_LEFT, _TOP, _ROW, _BAR, _KEY = 190, 58, 26, 18, 12
#: Share from which its number is written into the bar.
_WRITTEN = 0.08


def share_chart(
    rows: Mapping[str, Mapping[str, float]], colours: Mapping[str, str], *, title: str, width: int = 760
) -> str:
    """A bar for each row.

    Args:
        rows: name -> part -> share in [0, 1]; the shares of a row sum to 1.
        colours: part -> its colour, in the order of the parts.
    """
    parts = [label(0, 14, title), *_key(colours)]
    for index, (name, shares) in enumerate(rows.items()):
        y = _TOP + index * _ROW
        parts.append(label(_LEFT - 10, y + _BAR / 2, name, anchor="end"))
        x = float(_LEFT)
        for part, colour in colours.items():
            share = shares.get(part, 0.0)
            length = share * (width - _LEFT)
            tooltip = element("title", escape(f"{name}: {part} {share:.0%}"))
            parts.append(element("rect", tooltip, x=x, y=y, width=length, height=_BAR, fill=colour))
            if share >= _WRITTEN:
                parts.append(
                    label(x + length / 2, y + _BAR / 2, f"{100 * share:.0f}", anchor="middle", fill="#fff")
                )
            x += length
    return drawing(width, _TOP + len(rows) * _ROW, title, parts)


def _key(colours: Mapping[str, str]) -> list[str]:
    parts, x = [], 0.0
    for name, colour in colours.items():
        parts += [
            element("rect", x=x, y=32, width=_KEY, height=_KEY, fill=colour),
            label(x + _KEY + 5, 38, name),
        ]
        x += _KEY + 22 + 7.5 * len(name)
    return parts
