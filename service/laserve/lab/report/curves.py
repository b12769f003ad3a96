"""Curves of quality over the requests and over the candidates, and the gain from a prior."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from laserve.lab.pools.pool import Pool, PoolQuestion
from laserve.lab.replay.hindsight import best_of_task, best_single
from laserve.lab.replay.learners import PRIOR
from laserve.lab.replay.table import Matrix
from laserve.lab.report.study import Replayed, Study
from laserve.lab.reward_models.ppe.best_of import curve
from laserve.lab.statistics import SHARE, Interval, Range, ratio
from laserve.types import Vector

#: Number of points of a curve over the requests.
_POINTS = 100
#: Share of the run that a point is the mean over.
_WINDOW = 0.1
#: Number of first requests over which the gain from a prior is measured.
_FIRST = 100
#: Differences in quality below this one are rounding errors.
_EQUAL = 1e-9


def learning(replayed: Replayed) -> dict[str, Any]:
    """Learning curves: ``window``; ``position``, the requests answered; and ``policies``, by name the quality
    of the answers minus that of a random arm on these questions, a moving mean over the window and the
    orders. Besides the learners, the policies are ``best single`` and ``best arm per task``.
    """
    table, orders = replayed.table, replayed.schedule.orders
    random = table.rewards.mean(axis=1)
    lines = {run.name: run.rewards for run in replayed.runs}
    for name, best in (("best single", best_single), ("best arm per task", best_of_task)):
        lines[name] = best(table, table.where()).rewards(table)[orders]
    count = orders.shape[1]
    window = max(int(count * _WINDOW), 1)
    positions = np.unique(np.linspace(window, count, min(_POINTS, count)).astype(int))
    return {
        "window": window,
        "position": positions.tolist(),
        "policies": {
            name: _moving(rewards - random[orders], window)[positions - 1].tolist()
            for name, rewards in lines.items()
        },
    }


def shares(replayed: Replayed) -> dict[str, Any]:
    """Learner -> task -> arm -> share of the answers in the last third that the arm chose."""
    table, orders = replayed.table, replayed.schedule.orders
    late = np.tile(replayed.schedule.late, (len(orders), 1))
    result: dict[str, Any] = {}
    for run in replayed.runs:
        result[run.name] = {}
        for task in dict.fromkeys(table.tasks):
            picked = run.picked[late & table.where(task=task)[orders]]
            counts = np.bincount(picked, minlength=len(run.arms))
            if counts.sum():
                result[run.name][task] = dict(zip(run.arms, (counts / counts.sum()).tolist(), strict=True))
    return result


def prior_worth(study: Study) -> dict[str, Any] | None:
    """Quality in the first requests without and with a prior.

    ``cold``, ``prior`` and ``difference``, each with the keys of `Interval`, and ``requests``, the number of
    these requests. None if no prior was given.
    """
    runs = {run.name: run for run in study.whole.runs}
    cold = study.plan.learners[0]
    if cold + PRIOR not in runs:
        return None
    first = min(_FIRST, len(study.whole.table))
    without, given = (runs[name].rewards[:, :first] for name in (cold, cold + PRIOR))
    qualities: dict[str, tuple[Matrix, Range]] = {
        "cold": (without, SHARE),
        "prior": (given, SHARE),
        "difference": (given - without, None),
    }
    return {
        "requests": first,
        **{
            name: asdict(_mean_of_first(study.whole, values, first, within))
            for name, (values, within) in qualities.items()
        },
    }


def best_of_k(pool: Pool) -> dict[str, Any]:
    """Quality against the number of candidates; a falling curve shows an over-optimised reward model.

    By task: ``k``; ``arms``, by name the exact mean quality of the best of k by that arm; ``possible``, the
    mean quality of the truly best of k; and ``falls``, by arm the k of its highest value, if the last value
    is lower.

    An arm's curve is over the questions with scores by the arm, up to the smallest number of candidates of a
    question.
    """
    by_task: dict[str, list[PoolQuestion]] = {}
    for question in pool.questions:
        by_task.setdefault(question.task, []).append(question)
    return {task: _best_of_k_of_task(pool.arms, questions) for task, questions in by_task.items()}


def _moving(values: Matrix, window: int) -> Vector:
    """Moving mean that ends at each position, over all orders, shape (N,)."""
    sums = np.concatenate([[0.0], np.cumsum(values.mean(axis=0))])
    ends = np.arange(1, values.shape[1] + 1)
    starts = np.maximum(ends - window, 0)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts), dtype=np.float64)


def _mean_of_first(replayed: Replayed, values: Matrix, first: int, within: Range) -> Interval:
    where, count = replayed.schedule.orders[:, :first].ravel(), len(replayed.table)
    parts = np.bincount(where, weights=values.ravel(), minlength=count).astype(np.float64)
    wholes = np.bincount(where, minlength=count).astype(np.float64)
    return ratio(parts, wholes, replayed.table.sources, within=within)


def _best_of_k_of_task(arms: Sequence[str], questions: Sequence[PoolQuestion]) -> dict[str, Any]:
    longest = min(len(question.qualities) for question in questions)
    curves = {}
    for arm in arms:
        scored = [question for question in questions if not np.isnan(question.scores[arm]).all()]
        if scored:
            curves[arm] = np.mean(
                [curve(question.scores[arm], question.qualities)[:longest] for question in scored], axis=0
            )
    possible = np.mean([curve(one.qualities, one.qualities)[:longest] for one in questions], axis=0)
    return {
        "k": list(range(1, longest + 1)),
        "arms": {arm: values.tolist() for arm, values in curves.items()},
        "possible": possible.tolist(),
        "falls": {
            arm: int(values.argmax()) + 1
            for arm, values in curves.items()
            if values.max() - values[-1] > _EQUAL
        },
    }
