"""State of one replay, as a policy sees it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from laserve.types import Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """State of one replay at the current request, for the eligible arms.

    Arrays have shape (len(arms),), float64. The view in the service is
    `laserve.bandit.state.linear.LinearModel`; here `means` and `widths` are of the request's x and ignore
    their argument.
    """

    #: Decisions that the replay has learned, and the sum of their discounted weights.
    decisions: int
    evidence: float
    #: Arms drawn so far.
    turns: int
    arms: tuple[str, ...]
    #: Predicted rewards, and sqrt(x' A_k^-1 x).
    mean: Vector
    width: Vector
    #: Number of rewards learned of each arm, and their sums.
    count: Vector
    reward_sum: Vector
    #: Sums of (1 - reward) / chance over the answers of each arm.
    loss: Vector
    #: Function of x and arms: the chance of each arm to be the best one.
    best: Callable[[Vector, Sequence[str]], Vector]

    def means(self, x: Vector, arms: Sequence[str]) -> Vector:
        return self.mean[self._indices(arms)]

    def widths(self, x: Vector, arms: Sequence[str]) -> Vector:
        return self.width[self._indices(arms)]

    def counts(self, arms: Sequence[str]) -> Vector:
        return self.count[self._indices(arms)]

    def averages(self, arms: Sequence[str]) -> Vector:
        """Mean reward of each arm; 0 for an arm without rewards."""
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
