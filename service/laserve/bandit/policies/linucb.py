"""LinUCB with disjoint linear models, as in LASeR, mixed with uniform exploration."""

from collections.abc import Sequence
from dataclasses import dataclass

from laserve.bandit.policies.base import View
from laserve.bandit.policies.exploration import Exploration, greedy
from laserve.types import Vector


@dataclass(frozen=True, kw_only=True)
class LinUCB:
    """Plays the arm with the largest x . theta_k + alpha sqrt(x' A_k^-1 x), except for a share epsilon.

    Li et al., 2010 (arXiv 1003.0146), algorithm 1; LASeR (arXiv 2410.01735), section 3. Arms that tie share
    the greedy chance, so that the propensity is exact.
    """

    exploration: Exploration
    #: Weight of the confidence width, at least 0.
    alpha: float

    @property
    def name(self) -> str:
        return "linucb"

    def probabilities(self, view: View, x: Vector, arms: Sequence[str], seed: int) -> Vector:
        bound = view.means(x, arms) + self.alpha * view.widths(x, arms)
        return self.exploration.mix(greedy(bound), view.decisions)
