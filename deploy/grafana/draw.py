"""The queries of the boards as pictures, drawn by matplotlib; nothing here runs Grafana.

``python deploy/grafana/draw.py http://localhost:9090 FOLDER [--hours 6] [--window 1h]`` writes
``FOLDER/board-NAME.png`` for each board, from what a Prometheus has of the last hours.
"""

import argparse
import itertools
import time
from io import BytesIO
from pathlib import Path
from typing import Any

from panels import EVERYTHING, KINDS, OVER_TIME, POINTS, Span
from queries import Dashboard, Panel, Prometheus, read, substitute

NOTE = "drawn from the board's queries by matplotlib; not a screenshot of Grafana"
COLUMNS = 3
#: Colours of the picture, few so that its file is small.
PALETTE = 64


def draw(board: Dashboard, span: Span) -> Any:
    """The picture of a board, a figure of matplotlib."""
    from matplotlib.figure import Figure

    rows = -(-len(board.panels) // COLUMNS)
    figure = Figure(figsize=(12, 0.4 + 2.3 * rows), dpi=80, layout="constrained")
    figure.suptitle(f"{board.title}\n{NOTE}; time in minutes", fontsize=9)
    axes = figure.subplots(rows, COLUMNS, squeeze=False)
    marks = [each for expr in board.notes.values() for each in span.over(expr)]
    for panel, ax in itertools.zip_longest(board.panels, axes.flat):
        if panel is None:
            ax.set_axis_off()
            continue
        chosen = _values(board, panel, span)
        ax.set_title(panel.title.replace(f"${panel.repeat}", f"each {panel.repeat}"), fontsize=9, loc="left")
        ax.tick_params(labelsize=7)
        if not KINDS[panel.kind](ax, panel, span, chosen):
            _say_nothing(ax)
        elif panel.kind in OVER_TIME:
            ax.set_xlim(0, (span.end - span.start) / 60)
            for mark in marks:
                ax.axvline(span.minutes(mark)[0], color="#bbbbbb", linewidth=0.6, linestyle=":")
    return figure


def _values(board: Dashboard, panel: Panel, span: Span) -> list[str]:
    """Values of the variable for which the panel is repeated; one that selects everything without it."""
    if panel.repeat is None:
        return [".+"]
    query = substitute(board.variables[panel.repeat], EVERYTHING)
    return span.prometheus.values(query, start=span.start, end=span.end)


def _say_nothing(ax: Any) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    ax.text(0.5, 0.5, "no data", ha="center", va="center", color="#888888", transform=ax.transAxes)


def _save(figure: Any, file: Path) -> None:
    """Write with few colours."""
    from PIL import Image

    memory = BytesIO()
    figure.savefig(memory, format="png")
    Image.open(memory).convert("RGB").quantize(PALETTE).save(file, optimize=True)


def draw_all(span: Span, folder: Path) -> None:
    """The picture of each board."""
    folder.mkdir(parents=True, exist_ok=True)
    for board in read():
        _save(draw(board, span), folder / f"board-{board.name}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description="Pictures of the boards' queries.")
    parser.add_argument("url", help="of a Prometheus")
    parser.add_argument("folder", type=Path, help="folder of the pictures")
    parser.add_argument("--hours", type=float, default=6.0, help="hours until now (6)")
    parser.add_argument("--window", default="1h", help="window of estimates (1h)")
    arguments = parser.parse_args()
    fixed = {"__rate_interval": f"{max(60, int(arguments.hours * 3600 / POINTS) + 15)}s"}
    fixed |= {"window": arguments.window}
    now = time.time()
    span = Span(
        prometheus=Prometheus(arguments.url),
        start=now - arguments.hours * 3600,
        end=now,
        prepare=lambda expr, values: substitute(expr, fixed | values),
    )
    draw_all(span, arguments.folder)


if __name__ == "__main__":
    main()
