"""Mean qualities of policies and of arms chosen with hindsight over some questions, with 95% intervals."""

from collections.abc import Mapping

import numpy as np

from laserve.lab.replay.hindsight import Choice, best_of_task, best_single
from laserve.lab.replay.outcomes import Outcomes
from laserve.lab.replay.table import Mask
from laserve.lab.statistics import SHARE, Interval, Sources
from laserve.types import Vector


class Estimates:
    """Estimates over the questions of a mask.

    Qualities by question have shape (N,), over all questions of the table; those outside the mask do not
    count. Arms are chosen over all questions of the mask with equal weights, also for the last third.

    Args:
        rows: shape (N,), at least one.
        late: whether to weight questions by the share of orders that have them in the last third.
    """

    def __init__(self, outcomes: Outcomes, rows: Mask, *, late: bool = False) -> None:
        self.table = table = outcomes.table
        self._rewards = {one.name: (one.late if late else one.whole).reward for one in outcomes.policies}
        weights = np.where(rows, outcomes.late if late else 1.0, 0.0)
        self._counted = np.flatnonzero(weights)
        self._weights = weights[self._counted]
        self._sources = Sources([table.sources[index] for index in self._counted])
        self.kept_single = best_single(table, rows)
        self.kept_of_task = best_of_task(table, rows)
        self.crossed_single = best_single(table, rows, cross_fitted=True)
        self.crossed_of_task = best_of_task(table, rows, cross_fitted=True)
        #: Sources among the questions.
        self.sources = self._sources.count
        self.questions = int(rows.sum())

    def quality(self, policy: str) -> Vector:
        """Quality of a policy's answers by question."""
        return self._rewards[policy]

    def chosen(self, choice: Choice) -> Vector:
        """Quality of the chosen arms' answers by question."""
        return choice.rewards(self.table)

    @property
    def best_arm(self) -> str:
        """The best single arm."""
        return self.table.arms[int(self.kept_single.arm.max())]

    @property
    def best_arms(self) -> dict[str, str]:
        """Task -> the arm that is best for it."""
        chosen = zip(self.table.tasks, self.kept_of_task.arm, strict=True)
        return {task: self.table.arms[arm] for task, arm in chosen if arm >= 0}

    def means(self, qualities: Mapping[str, Vector]) -> dict[str, Interval]:
        """Mean qualities, by name."""
        return self._means(qualities, SHARE)

    def differences(self, qualities: Mapping[str, Vector], rival: Vector) -> dict[str, Interval]:
        """Mean qualities above that of a rival, by name."""
        return self._means({name: values - rival for name, values in qualities.items()}, None)

    def share(self, part: Vector, whole: Vector) -> Interval | None:
        """Sum of a gain by question over the sum of a whole; None where the whole is not above 0."""
        parts, wholes = (self._weights * values[self._counted] for values in (part, whole))
        if wholes.sum() <= 0:
            return None
        (result,) = self._sources.ratios(parts[None, :], wholes)
        return result

    def _means(self, values: Mapping[str, Vector], within: tuple[float, float] | None) -> dict[str, Interval]:
        stacked = np.array([one[self._counted] for one in values.values()])
        results = self._sources.means(stacked, within=within, weights=self._weights)
        return dict(zip(values, results, strict=True))
