"""The drawn pictures of the documentation: `python docs/pictures/draw.py` writes them beside this file.

A picture is a function that returns an SVG document with a background of its own, which makes it readable on
light and on dark pages.
"""

import json
from collections.abc import Callable
from html import escape
from pathlib import Path

from laserve.lab.bench.traffic.run import chart
from laserve.lab.charts.chart import svg

FOLDER = Path(__file__).parent

INK, SOFT, LINE = "#1b2430", "#4c5866", "#7a8694"
REQUEST, FEEDBACK, STATE = "#e3eefb", "#e6f4e6", "#fdf1d6"
_STYLE = (
    "text{font-family:Helvetica,Arial,sans-serif;fill:" + INK + "}"
    ".head{font-size:17px;font-weight:bold}.name{font-size:14px;font-weight:bold}"
    ".line{font-size:13px;fill:" + SOFT + "}.code{font-family:Menlo,Consolas,monospace;font-size:15px;"
    "font-weight:bold}"
)


def document(width: int, height: int, title: str, parts: list[str]) -> str:
    """An SVG document of these parts, in pixels, with a title that screen readers say."""
    arrow = (
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        f'orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" fill="{LINE}"/></marker></defs>'
    )
    back = f'<rect width="{width}" height="{height}" rx="8" fill="#ffffff"/>'
    body = "\n".join([f"<title>{escape(title)}</title>", f"<style>{_STYLE}</style>", arrow, back, *parts])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img">\n{body}\n</svg>\n'
    )


def text(x: int, y: int, content: str, style: str = "line", anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" class="{style}" text-anchor="{anchor}">{escape(content)}</text>'


def box(x: int, y: int, width: int, name: str, lines: list[str], *, fill: str) -> str:
    """A box with a name and lines below it; `height_of` gives its height."""
    rect = (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height_of(lines)}" rx="6" fill="{fill}" '
        f'stroke="{LINE}"/>'
    )
    rows = [text(x + 12, y + 40 + 17 * number, line) for number, line in enumerate(lines)]
    return "\n".join([rect, text(x + 12, y + 21, name, "name"), *rows])


def height_of(lines: list[str]) -> int:
    return 30 + 17 * len(lines)


def arrow(*points: tuple[int, int]) -> str:
    path = "M" + "L".join(f"{x} {y}" for x, y in points)
    return f'<path d="{path}" fill="none" stroke="{LINE}" stroke-width="1.6" marker-end="url(#tip)"/>'


def column(
    x: int, y: int, width: int, steps: list[tuple[str, list[str]]], fill: str
) -> tuple[list[str], list[int]]:
    """Boxes below each other with arrows between them, and the y of the middle of each box."""
    parts, middles = [], []
    for number, (name, lines) in enumerate(steps):
        if number:
            parts.append(arrow((x + width // 2, y - 16), (x + width // 2, y)))
        parts.append(box(x, y, width, name, lines, fill=fill))
        middles.append(y + height_of(lines) // 2)
        y += height_of(lines) + 16
    return parts, middles


def life_of_a_request() -> str:
    """The steps of `POST /generate` and `POST /feedback`, and the state between them."""
    generate = [
        ("1  Door", ["key 401, size 413, schema 422, permit 429"]),
        (
            "2  Prompt",
            ["question and documents become token ids;", "documents are cut to fit, the question never"],
        ),
        ("3  Context x", ["58 features: task, n, lengths, question word,", "embedding of the question"]),
        ("4  Arm", ["the policy draws a reward model;", "propensity and reasons are logged"]),
        ("5  Candidates", ["vLLM samples n, each arrives as it finishes"]),
        (
            "6  Scores",
            ["the drawn arm scores them, free arms too;", "an arm that fails is replaced: degraded"],
        ),
        ("7  Decision", ["the best score wins, ties by log-probability"]),
        ("8  Log", ["on disk before the first byte of the answer"]),
    ]
    feedback = [
        ("1  Known?", ["the decision exists;", "a repeat counts once"]),
        ("2  Rewards", ["what it says of each arm", "whose scores are known"]),
        ("3  Event", ["appended to the log,", "one commit for all that wait"]),
        ("4  On disk", ["the answer 200 is sent"]),
    ]
    left, middles = column(24, 60, 330, generate, REQUEST)
    right, rights = column(566, 60, 220, feedback, FEEDBACK)
    learned = ["(S, b) of each arm, folded", "from the events in order;", "the digest proves it"]
    state = box(566, 430, 220, "What was learned", learned, fill=STATE)
    event, log = rights[3], middles[7]
    parts = [
        text(24, 38, "POST /generate", "code"),
        text(566, 38, "POST /feedback", "code"),
        *left,
        *right,
        state,
        arrow((786, event), (812, event), (812, 470), (786, 470)),
        arrow((566, 470), (460, 470), (460, middles[3]), (354, middles[3])),
        text(362, middles[3] - 8, "the next draw uses it"),
        arrow((354, log), (600, log)),
        text(366, log - 8, "decision_id, text, candidates, why"),
        text(608, log + 5, "answer", "name"),
    ]
    return document(836, log + 40, "The life of a request and of its feedback", parts)


def how_much_traffic() -> str:
    """The chart of `laserve bench traffic --json docs/pictures/traffic.json`."""
    return svg(chart(json.loads((FOLDER / "traffic.json").read_text(encoding="utf-8"))))


PICTURES: dict[str, Callable[[], str]] = {
    "life-of-a-request.svg": life_of_a_request,
    "how-much-traffic.svg": how_much_traffic,
}

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (FOLDER / name).write_text(draw(), encoding="utf-8")
