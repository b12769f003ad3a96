"""The pictures of the boards in the documentation.

``PYTHONPATH=tests:deploy/grafana python -m monitoring.pictures FOLDER [SECONDS]`` plays the story with so
many seconds of ordinary traffic before and after the faults (90), and draws the boards of its Prometheus.
"""

import sys
import tempfile
import time
from pathlib import Path

import draw
import panels
import queries
from monitoring.scene import Scene, scene, shorter
from monitoring.story import play


def span(scene: Scene, start: float, end: float) -> panels.Span:
    """A span of a scene, in seconds since 1970, with ranges as short as its rules have them."""
    fixed = {"__rate_interval": "10s", "window": "30s"}
    return panels.Span(
        prometheus=scene.prometheus,
        start=start,
        end=end,
        prepare=lambda expr, values: queries.substitute(shorter(expr), fixed | values),
    )


def main(folder: str, seconds: str = "90") -> None:
    with tempfile.TemporaryDirectory() as scratch, scene(Path(scratch)) as ready:
        play(ready, ordinary_s=float(seconds))
        draw.draw_all(span(ready, ready.began, time.time()), Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
