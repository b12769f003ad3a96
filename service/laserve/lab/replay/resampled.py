"""Figures of policies on some questions in bootstrap resamples of whole sources.

The best single arm and the best arm of each task depend on the data, so each resample chooses its own.
"""

import numpy as np

from laserve.lab.replay.outcomes import Outcomes, fixed
from laserve.lab.replay.table import Mask, Matrix
from laserve.lab.statistics import quotient, resampled_sums
from laserve.types import Vector


class Resampled:
    """Estimates over the questions of a mask: vectors of shape (1 + resamples,), first that of all rows.

    Args:
        rows: shape (N,), at least one.
        late: whether to weight questions by the share of orders that have them in the last third.
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
            for index, arm in enumerate(table.arms):
                columns["task", f"{task}/{arm}"] = of_task * table.rewards[:, index]
        sources = [source for source, here in zip(table.sources, rows, strict=True) if here]
        sums = resampled_sums(np.array(list(columns.values()))[:, rows], sources)
        self._sums = dict(zip(columns, sums, strict=True))
        #: Sources among the questions.
        self.sources = len(set(sources))
        self.questions = int(rows.sum())

    def value(self, policy: str) -> Vector:
        """Mean quality of a policy's answers."""
        return self._mean(self._sums["policy", policy])

    def best_candidate(self) -> Vector:
        """Mean quality of the best candidate."""
        return self._mean(self._sums["best", ""])

    def singles(self) -> Matrix:
        """Mean quality of each arm's answers, shape (arms, 1 + resamples)."""
        return np.array([self.value(fixed(arm)) for arm in self.arms])

    def best_single(self) -> Vector:
        """Mean quality of the answers of the resample's best arm."""
        return np.asarray(self.singles().max(axis=0), dtype=np.float64)

    def best_arm(self) -> Vector:
        """Mean quality if each task's answers came from the resample's best arm for the task."""
        return self._mean(np.sum([self._of_task(task).max(axis=0) for task in self.tasks], axis=0))

    def best_arms(self) -> dict[str, str]:
        """Task -> the arm that is best for it."""
        return {task: self.arms[int(self._of_task(task)[:, 0].argmax())] for task in self.tasks}

    def _of_task(self, task: str) -> Matrix:
        """Sums of the arms' qualities over a task, shape (arms, 1 + resamples)."""
        return np.array([self._sums["task", f"{task}/{arm}"] for arm in self.arms])

    def _mean(self, sums: Vector) -> Vector:
        return quotient(sums, self._sums["weight", ""])
