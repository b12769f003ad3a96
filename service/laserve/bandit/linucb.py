"""LinUCB with disjoint linear models, as LASeR uses it, mixed with uniform exploration."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from laserve.bandit.base import LinearView
from laserve.types import Vector


@dataclass(frozen=True, kw_only=True)
class LinUCB:
    """Plays the arm with the largest x . theta_k + alpha sqrt(x' A_k^-1 x), except for a share epsilon.

    Li et al., 2010 (arXiv 1003.0146), algorithm 1; LASeR (arXiv 2410.01735), section 3. Arms that tie share
    the greedy chance, so that the propensity is exact.
    """

    #: Weight of the confidence width, at least 0.
    alpha: float
    #: Share of uniform exploration in the long run, in [0, 1].
    epsilon: float
    #: The same for the first `epsilon_start_decisions` learned decisions.
    epsilon_start: float
    epsilon_start_decisions: int

    @property
    def name(self) -> str:
        return "linucb"

    def exploration(self, decisions: int) -> float:
        """Epsilon in force after so many learned decisions."""
        return self.epsilon_start if decisions < self.epsilon_start_decisions else self.epsilon

    def probabilities(self, view: LinearView, x: Vector, arms: Sequence[str]) -> Vector:
        bound = view.means(x, arms) + self.alpha * view.widths(x, arms)
        best = bound == bound.max()
        epsilon = self.exploration(view.decisions)
        return np.asarray((1 - epsilon) * best / best.sum() + epsilon / len(arms), dtype=np.float64)
