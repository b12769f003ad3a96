"""Benchmark of the coverage of 95% intervals, on simulated logs and questions with known values.

The intervals are those of off-policy evaluation and those of reports.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from laserve.bandit.offpolicy.estimators import ESTIMATORS, CannotSay, ClusterBootstrap, Estimate, evaluate
from laserve.lab.bench.coverage import reports
from laserve.lab.bench.coverage.world import RANDOM, Logging, World
from laserve.lab.output import Table, machine, show, write_json
from laserve.lab.progress import progress

#: Number of decisions of a log, by kind.
DECISIONS: dict[Logging, int] = {"uniform": 800, "frozen": 2000, "learning": 2000}
#: Logs per world: with more there would be too few worlds, with fewer making worlds would take the time.
_LOGS_PER_WORLD = 25
#: Decisions learned by the LinUCB that is evaluated, and its exploration.
_LEARNED, _EPSILON = 3000, 0.02


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Result of one estimator for the target on one log."""

    kind: Logging
    estimator: str
    outcome: Estimate | CannotSay
    #: The target's true value.
    truth: float


def run(*, logs: int, seed: int, out: Path | None) -> None:
    """Simulate, print two tables, and write the figures to `out`.

    Each kind of log is written `logs` times: by the uniform policy, by a frozen LinUCB, and by a LinUCB that
    learns while it logs (both epsilon 0.1). A quarter of the requests is shadowed; requests about one
    article are correlated. The evaluated policy is, in turn by world, a LinUCB that has learned from other
    requests, and the random policy.

    The figures of reports are simulated `logs` times each, on questions about few sources: by the number of
    sources, and the difference to the best of six arms where these are equal, or one is 3 or 10 points ahead.

    Keys: ``rows``, of ``log``, ``estimator``, ``decisions``, ``logs``, ``refused`` (share of logs with too
    small an effective sample, which are left out of the other figures), ``coverage`` (share of intervals
    that contain the true value), ``mean_width``, ``mean_error`` and ``mean_effective_sample``;
    ``reports``, rows as `laserve.lab.bench.coverage.reports.rows_of` has them; ``seed``, ``seconds``,
    ``machine``.

    Args:
        logs: number of logs of each kind, and of samples of each figure of reports.
        seed: makes the run repeatable.
        out: JSON file.
    """
    began = time.perf_counter()
    of_logs, of_reports = logs * len(DECISIONS) * len(ESTIMATORS), reports.count(logs)
    with progress("simulating", of_logs + of_reports) as report:
        cells: dict[tuple[Logging, str], list[Judged]] = {
            (kind, name): [] for kind in DECISIONS for name in ESTIMATORS
        }
        for judged in simulate(logs=logs, seed=seed):
            cells[judged.kind, judged.estimator].append(judged)
            report.advance()
        outcomes = []
        for one in reports.simulate(samples=logs, seed=seed):
            outcomes.append(one)
            report.advance()
    rows = [
        {"log": kind, "estimator": name, "decisions": DECISIONS[kind], **figures_of(cell)}
        for (kind, name), cell in cells.items()
    ]
    spent = time.perf_counter() - began
    figures: dict[str, Any] = {"rows": rows, "reports": reports.rows_of(outcomes)}
    figures |= {"seed": seed, "seconds": spent, "machine": (made_on := machine())}
    show(_table(rows), reports.table(figures["reports"]), made_on)
    if out:
        write_json(out, figures)


def figures_of(cell: Sequence[Judged]) -> dict[str, Any]:
    """Figures of one estimator on one kind of log; None if every log was refused."""
    said = [(judged.outcome, judged.truth) for judged in cell if isinstance(judged.outcome, Estimate)]
    means: dict[str, list[float]] = {
        "coverage": [outcome.low <= truth <= outcome.high for outcome, truth in said],
        "mean_width": [outcome.high - outcome.low for outcome, _ in said],
        "mean_error": [outcome.value - truth for outcome, truth in said],
        "mean_effective_sample": [outcome.effective_sample for outcome, _ in said],
    }
    return {
        "logs": len(cell),
        "refused": 1 - len(said) / len(cell),
        **{name: sum(values) / len(values) if values else None for name, values in means.items()},
    }


def simulate(*, logs: int, seed: int) -> Iterator[Judged]:
    """Results on `logs` logs of each kind; they depend on the seed and the number of logs alone."""
    for number, first in enumerate(range(0, logs, _LOGS_PER_WORLD)):
        world = World(np.random.default_rng([seed, number]))
        target = RANDOM if number % 2 else world.learned(_LEARNED, epsilon=_EPSILON)
        truth = world.value(target)
        for kind, decisions in DECISIONS.items():
            for log, chances in world.logs(kind, min(_LOGS_PER_WORLD, logs - first), decisions, target):
                bootstrap = ClusterBootstrap(log.clusters)
                for name, estimator in ESTIMATORS.items():
                    outcome = evaluate(log, chances, estimator, bootstrap=bootstrap)
                    yield Judged(kind=kind, estimator=name, outcome=outcome, truth=truth)


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    formats = {
        "coverage": "{:.1%}",
        "mean_width": "{:.3f}",
        "mean_error": "{:+.4f}",
        "mean_effective_sample": "{:.0f}",
        "refused": "{:.1%}",
    }
    return Table(
        title="95% intervals of off-policy evaluation",
        columns=("log", "by", "N", "coverage", "width", "error", "sample", "refused"),
        rows=[
            (
                row["log"],
                row["estimator"],
                str(row["decisions"]),
                *("-" if row[name] is None else form.format(row[name]) for name, form in formats.items()),
            )
            for row in rows
        ],
        names=2,
    )
