"""Benchmark of the feedback that the default policy needs to be better than the best single reward model."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from laserve.config import PolicySettings
from laserve.lab.bench.traffic.play import BLOCK, FEEDBACK, Gains, play
from laserve.lab.bench.traffic.worlds import World, make_world
from laserve.lab.charts.chart import beside, png
from laserve.lab.charts.lines import Line, LineChart
from laserve.lab.output import Table, machine, show, write_bytes, write_json
from laserve.lab.progress import progress

ARMS = (3, 6, 10)
#: Standard deviations of an arm's correlation with quality over tasks, from similar arms to specialists.
SPREADS = (0.1, 0.25, 0.4)
_WORLDS, _REQUESTS = 40, 8000
_QUICK_WORLDS, _QUICK_REQUESTS = 4, 1000
#: Number of arms in the chart.
_CHARTED = 6
#: Shares of the answers that get feedback, for the table.
RATES = (0.01, 0.05, 0.2)


def run(*, quick: bool, seed: int, out: Path | None) -> None:
    """Simulate, print a table, and write the figures to `out` and the gains beside it as PNG.

    Keys: ``rows``, one for each number of arms, spread and kind of feedback (see `rows_of`); ``worlds``,
    ``decisions`` of each, ``seed``, ``seconds``, ``machine``.

    Args:
        quick: fewer and shorter worlds.
        seed: makes the run repeatable.
        out: JSON file.

    Raises:
        ConfigError: matplotlib for the chart is not installed, or a file cannot be written.
    """
    picture = beside(out) if out else None
    worlds, requests = (_QUICK_WORLDS, _QUICK_REQUESTS) if quick else (_WORLDS, _REQUESTS)
    began, rows = time.perf_counter(), []
    steps = len(ARMS) * len(SPREADS) * len(FEEDBACK) * requests
    with progress("simulating", steps) as report:
        for arms, spread, made in _settings(worlds, requests, seed):
            for feedback, mode in FEEDBACK.items():
                gains = play(made, mode, PolicySettings(), report.advance)
                gap = float(np.mean([world.gap for world in made]))
                rows.append(
                    {"arms": arms, "spread": spread, "feedback": feedback, "gap": gap, **row_of(gains)}
                )
    figures: dict[str, Any] = {
        "rows": rows,
        "worlds": worlds,
        "decisions": requests,
        "seed": seed,
        "seconds": time.perf_counter() - began,
        "machine": machine(),
    }
    show(_table(figures), figures["machine"])
    if out and picture:
        write_json(out, figures)
        write_bytes(picture, png(chart(figures)), "--json")


def _settings(worlds: int, requests: int, seed: int) -> Iterator[tuple[int, float, list[World]]]:
    for arms in ARMS:
        for spread in SPREADS:
            yield (
                arms,
                spread,
                [
                    make_world(
                        np.random.default_rng([seed, number]), arms=arms, requests=requests, spread=spread
                    )
                    for number in range(worlds)
                ],
            )


def row_of(gains: Gains) -> dict[str, Any]:
    """Figures of one policy; gains are shares of thumbs up, and numbers are of learned decisions.

    Keys: ``passes`` (from here on the mean over worlds is above the best single arm), ``half`` and ``most``
    (half and 90% of the worlds are), ``even`` (the mean sum since the start is above 0), each None if that
    is not so at the end; ``curve``: ``decisions``, ``mean``, ``low`` and ``high`` (95%, Student's t over
    worlds).
    """
    mean = gains.blocks.mean(axis=0)
    count = len(gains.blocks)
    half = stats.t.ppf(0.975, count - 1) * gains.blocks.std(axis=0, ddof=1) / np.sqrt(count)
    return {
        "passes": gains.passes,
        "half": _of_worlds(gains.passes_by_world, 0.5),
        "most": _of_worlds(gains.passes_by_world, 0.9),
        "even": gains.even,
        "curve": {
            "decisions": [BLOCK * (block + 1) for block in range(len(mean))],
            "mean": mean.tolist(),
            "low": (mean - half).tolist(),
            "high": (mean + half).tolist(),
        },
    }


def _of_worlds(passes: Sequence[int | None], share: float) -> int | None:
    """Decisions by which this share of the worlds has passed; None if that many never do."""
    known = sorted(one for one in passes if one is not None)
    needed = int(np.ceil(share * len(passes)))
    return known[needed - 1] if needed <= len(known) else None


def _table(figures: dict[str, Any]) -> Table:
    most = figures["decisions"]
    return Table(
        title="Decisions with feedback until the policy is above the best single arm",
        columns=(
            "arms",
            "gap",
            "feedback",
            "mean",
            "half of worlds",
            "90% of worlds",
            "since start",
            *(f"requests at {rate:.0%}" for rate in RATES),
        ),
        rows=[
            [
                str(row["arms"]),
                f"{100 * row['gap']:.1f}",
                row["feedback"],
                *(_number(row[key], most) for key in ("passes", "half", "most", "even")),
                *(_number(row["passes"], most, rate) for rate in RATES),
            ]
            for row in figures["rows"]
        ],
        names=3,
        notes=[
            f"gap: points of thumbs up between the best arm of each task and the best single arm; "
            f"{figures['worlds']} simulated worlds of five tasks",
        ],
    )


def _number(decisions: int | None, most: int, rate: float = 1.0) -> str:
    """Requests at a rate of feedback, or that there were too few."""
    return f"> {most / rate:,.0f}" if decisions is None else f"{decisions / rate:,.0f}"


def chart(figures: dict[str, Any]) -> LineChart:
    """Gain over the number of learned decisions, a line for each gap and kind of feedback."""
    rows = [row for row in figures["rows"] if row["arms"] == _CHARTED]
    lines = {}
    for row in rows:
        curve = {key: [100 * value for value in row["curve"][key]] for key in ("mean", "low", "high")}
        lines[f"{row['feedback']}, gap {100 * row['gap']:.1f}"] = Line(
            x=row["curve"]["decisions"], y=curve["mean"], band=(curve["low"], curve["high"])
        )
    return LineChart(
        title=f"Thumbs up of the default policy above the best single one of {_CHARTED} arms, in points: "
        f"mean of {figures['worlds']} simulated worlds, and 95%",
        lines=lines,
        across="decisions with feedback",
        up="points",
    )
