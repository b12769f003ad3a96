"""How learners fare as they learn, and which arms they end up with."""

from typing import Any

import numpy as np

from laserve.lab.replay.table import Matrix
from laserve.lab.report.study import Replayed
from laserve.types import Vector

#: Points of a curve.
_POINTS = 100
#: A point is the mean over this share of the run.
_WINDOW = 0.1


def learning(replayed: Replayed) -> dict[str, Any]:
    """``window``; ``position``, the requests answered; and ``policies``, by name the quality of the answers
    less that of a random arm's on the same questions, a moving mean over the window and the orders. Beside
    the learners these are ``best single`` and ``best arm per task``.
    """
    table, asked = replayed.table, replayed.schedule.orders
    random = table.rewards.mean(axis=1)
    single = int(table.rewards.mean(axis=0).argmax())
    oracle = np.empty(len(table))
    for task in dict.fromkeys(table.tasks):
        rows = table.where(task=task)
        oracle[rows] = table.rewards[rows][:, table.rewards[rows].mean(axis=0).argmax()]
    lines = {run.name: run.rewards for run in replayed.runs}
    lines |= {"best single": table.rewards[asked, single], "best arm per task": oracle[asked]}
    count = asked.shape[1]
    window = max(int(count * _WINDOW), 1)
    places = np.unique(np.linspace(window, count, min(_POINTS, count)).astype(int))
    return {
        "window": window,
        "position": places.tolist(),
        "policies": {
            name: _moving(rewards - random[asked], window)[places - 1].tolist()
            for name, rewards in lines.items()
        },
    }


def shares(replayed: Replayed) -> dict[str, Any]:
    """Learner -> task -> arm -> share of the answers in the last third that it chose."""
    table, asked = replayed.table, replayed.schedule.orders
    late = np.tile(replayed.schedule.late, (len(asked), 1))
    found: dict[str, Any] = {}
    for run in replayed.runs:
        found[run.name] = {}
        for task in dict.fromkeys(table.tasks):
            picked = run.picked[late & table.where(task=task)[asked]]
            counts = np.bincount(picked, minlength=len(run.arms))
            if counts.sum():
                found[run.name][task] = dict(zip(run.arms, (counts / counts.sum()).tolist(), strict=True))
    return found


def _moving(values: Matrix, window: int) -> Vector:
    """Mean of the last values up to each position, over all orders, shape (N,)."""
    sums = np.concatenate([[0.0], np.cumsum(values.mean(axis=0))])
    ends = np.arange(1, values.shape[1] + 1)
    starts = np.maximum(ends - window, 0)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts), dtype=np.float64)
