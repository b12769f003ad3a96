"""What a policy may look at in a replay."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from laserve.types import Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One replay's state at the request at hand, for the arms that are eligible.

    Arrays have shape (len(arms),), float64. The service's own view is
    `laserve.bandit.state.linear.LinearModel`; here x is that of the request, whatever a policy asks for.
    """

    #: Decisions that the replay has learned from, and these, each as much as it still counts.
    decisions: int
    evidence: float
    #: Arms drawn so far.
    turns: int
    arms: tuple[str, ...]
    #: Predicted rewards, and sqrt(x' A_k^-1 x).
    mean: Vector
    width: Vector
    #: Rewards learned of each arm, and their sums.
    count: Vector
    reward_sum: Vector
    #: Sums of (1 - reward) / chance over the answers of each arm.
    loss: Vector
    #: Tells, for x and arms, the chance that each is the best one.
    best: Callable[[Vector, Sequence[str]], Vector]

    def means(self, x: Vector, arms: Sequence[str]) -> Vector:
        return self.mean[self._indices(arms)]

    def widths(self, x: Vector, arms: Sequence[str]) -> Vector:
        return self.width[self._indices(arms)]

    def counts(self, arms: Sequence[str]) -> Vector:
        return self.count[self._indices(arms)]

    def averages(self, arms: Sequence[str]) -> Vector:
        """0 where nothing was learned."""
        indices = self._indices(arms)
        sums, counts = self.reward_sum[indices], self.count[indices]
        return np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)

    def losses(self, arms: Sequence[str]) -> Vector:
        return self.loss[self._indices(arms)]

    def preferences(self, x: Vector, arms: Sequence[str]) -> Vector:
        return self.best(x, arms)

    def turn(self, policy: str) -> int:
        return self.turns

    def _indices(self, arms: Sequence[str]) -> slice | list[int]:
        return slice(None) if arms is self.arms else [self.arms.index(arm) for arm in arms]
