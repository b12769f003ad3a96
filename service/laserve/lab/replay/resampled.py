"""Figures of policies on some questions, with intervals: sources are resampled with all their questions.

What depends on the data is chosen anew in each resample: the best single arm, and the best arm of each task.
"""

from collections.abc import Iterator

import numpy as np

from laserve.lab.replay.outcomes import Outcomes, fixed
from laserve.lab.replay.table import Mask, Matrix
from laserve.lab.statistics import RESAMPLES, Interval
from laserve.types import Vector

#: Resamples that are held in memory at once.
_AT_ONCE = 100


class Resampled:
    """Estimates over the questions of a mask; each is a vector of shape (1 + resamples,), the first of all.

    Args:
        rows: shape (N,), at least one.
        late: whether questions count by how often they come in the last third, or all alike.
    """

    def __init__(self, outcomes: Outcomes, rows: Mask, *, late: bool = False) -> None:
        table = outcomes.table
        self.arms = table.arms
        self.tasks = tuple(dict.fromkeys(task for task, here in zip(table.tasks, rows, strict=True) if here))
        weights = np.where(rows, outcomes.late if late else 1.0, 0.0)
        values = {policy.name: (policy.late if late else policy.whole).reward for policy in outcomes.policies}
        columns = {("weight", ""): weights, ("best", ""): weights * table.best_candidate}
        columns |= {("policy", name): weights * value for name, value in values.items()}
        for task in self.tasks:
            of_task = weights * table.where(task=task)
            for place, arm in enumerate(table.arms):
                columns["task", f"{task}/{arm}"] = of_task * table.rewards[:, place]
        sources = [source for source, here in zip(table.sources, rows, strict=True) if here]
        found = _resampled(np.array(list(columns.values()))[:, rows], sources)
        self._found = dict(zip(columns, found, strict=True))
        #: Sources among the questions.
        self.sources = len(set(sources))
        self.questions = int(rows.sum())

    def value(self, policy: str) -> Vector:
        """Mean quality of a policy's answers."""
        return self._mean(self._found["policy", policy])

    def best_candidate(self) -> Vector:
        """Mean quality of the best candidate."""
        return self._mean(self._found["best", ""])

    def singles(self) -> Matrix:
        """Mean quality of each arm's answers, shape (arms, 1 + resamples)."""
        return np.array([self.value(fixed(arm)) for arm in self.arms])

    def best_single(self) -> Vector:
        """That of the arm which is best in the resample."""
        return np.asarray(self.singles().max(axis=0), dtype=np.float64)

    def best_arm(self) -> Vector:
        """Mean quality if each task had the arm which is best for it in the resample."""
        return self._mean(np.sum([self._of_task(task).max(axis=0) for task in self.tasks], axis=0))

    def best_arms(self) -> dict[str, str]:
        """Task -> the arm that is best for it."""
        return {task: self.arms[int(self._of_task(task)[:, 0].argmax())] for task in self.tasks}

    def _of_task(self, task: str) -> Matrix:
        """Sums of the arms' qualities over a task, shape (arms, 1 + resamples)."""
        return np.array([self._found["task", f"{task}/{arm}"] for arm in self.arms])

    def _mean(self, sums: Vector) -> Vector:
        whole = self._found["weight", ""]
        return np.asarray(sums / np.where(whole > 0, whole, 1.0), dtype=np.float64)


def interval(values: Vector) -> Interval:
    """The estimate over all questions with the 95% percentile interval of its resamples.

    Args:
        values: shape (1 + resamples,), as `Resampled` gives them, or differences of such.
    """
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return Interval(value=float(values[0]), low=float(low), high=float(high))


def _resampled(values: Matrix, sources: list[str]) -> Matrix:
    """Sums of each row's values over all questions, and over those of each resample of the sources.

    Args:
        values: shape (M, questions).

    Returns:
        Shape (M, 1 + resamples).
    """
    places = {source: place for place, source in enumerate(dict.fromkeys(sources))}
    place = np.array([places[source] for source in sources], dtype=np.intp)
    sums = np.array([np.bincount(place, weights=row, minlength=len(places)) for row in values])
    return np.concatenate(
        [sums.sum(axis=1, keepdims=True), *(sums @ drawn for drawn in _draws(len(places)))], axis=1
    )


def _draws(count: int) -> Iterator[Matrix]:
    """How often each source is in each resample, shape (count, resamples at once), in turn."""
    rng = np.random.default_rng(0)
    for _ in range(RESAMPLES // _AT_ONCE):
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=_AT_ONCE)
        yield drawn.T.astype(np.float64)
