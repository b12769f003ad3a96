"""Arms chosen with hindsight: the best single arm, and the best arm of each task.

The mean of an arm that was chosen because its mean is highest is too high. So each choice comes in two forms:
*kept*, the best arm over all questions, and *cross-fitted*, for each fifth of the sources the arm that is
best over the other four fifths.

Intervals of differences are those to the kept arm, and no resample chooses anew, since that would bias the
maximum a second time. In ``laserve bench coverage``, where six arms are equal or one is ahead, 91 to 95 of
100 contain the difference of a policy to the truly best arm, and 91 to 100 the gain of the best arm of each
of four tasks; where they fail, the best of close arms was mostly overrated. A cross-fitted value is what a
choice made on other sources wins: without bias where arms are equal, and below the value of the truly best
arm where the choice is sometimes wrong, so that its interval contains the latter less often (87 to 92, and 74
to 83).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from laserve.lab.replay.table import Mask, Matrix, Table
from laserve.lab.statistics import FOLDS, folds
from laserve.types import Vector

Arms = npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The arm of each question, chosen from the rewards of all arms."""

    #: Index of the arm, shape (N,); -1 for questions that do not count.
    arm: Arms
    #: Task -> parts of the sources, each valued by a choice on the others; 1 where the choice and its value
    #: come from the same questions, because they are kept or have one source. A choice over all tasks has the
    #: single key "".
    folds: dict[str, int]

    def rewards(self, table: Table) -> Vector:
        """Quality of the chosen arm's answer, shape (N,); 0 for questions that do not count."""
        picked = np.take_along_axis(table.rewards, np.maximum(self.arm, 0)[:, None], axis=1)[:, 0]
        return np.where(self.arm >= 0, picked, 0.0)


def best_single(table: Table, rows: Mask, *, cross_fitted: bool = False) -> Choice:
    """The best arm over the questions of a mask."""
    return _chosen(table, {"": rows}, cross_fitted=cross_fitted)


def best_of_task(table: Table, rows: Mask, *, cross_fitted: bool = False) -> Choice:
    """The best arm of each task over the questions of a mask."""
    tasks = {task: rows & table.where(task=task) for task in dict.fromkeys(table.tasks)}
    return _chosen(table, tasks, cross_fitted=cross_fitted)


def _chosen(table: Table, parts: Mapping[str, Mask], *, cross_fitted: bool) -> Choice:
    """The best arm of each part, by name."""
    arm = np.full(len(table), -1, dtype=np.intp)
    counts = {}
    for name, rows in parts.items():
        if rows.any():
            sources = [source for source, here in zip(table.sources, rows, strict=True) if here]
            counts[name] = min(len(set(sources)), FOLDS) if cross_fitted else 1
            fold = folds(sources) if counts[name] > 1 else np.zeros(len(sources), dtype=np.intp)
            arm[rows] = _best(table.rewards[rows], fold, counts[name])[fold]
    return Choice(arm=arm, folds=counts)


def _best(rewards: Matrix, fold: Arms, count: int) -> Arms:
    """Arm with the highest sum outside each fold, shape (count,); over all rows if there is one fold."""
    if count == 1:
        return np.array([rewards.sum(axis=0).argmax()])
    return np.array([rewards[fold != one].sum(axis=0).argmax() for one in range(count)])
