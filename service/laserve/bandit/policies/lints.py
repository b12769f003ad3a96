"""Thompson sampling on the linear models."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from laserve.bandit.policies.base import View
from laserve.bandit.policies.exploration import Exploration
from laserve.types import Vector


@dataclass(frozen=True, kw_only=True)
class LinTS:
    """Draws each arm as often as it wins among draws from the posteriors, except for a share epsilon.

    Agrawal & Goyal, 2013 (arXiv 1209.3352), algorithm 1, with a model of its own for each arm: theta_k is
    normal with mean theta_k and covariance scale^2 A_k^-1, so its reward at x is normal with mean
    x . theta_k and deviation scale sqrt(x' A_k^-1 x), and one number stands for the whole vector. Of one
    such draw the chance of an arm has no closed form; so `draws` of them are made, and the arm is drawn
    from the shares that they won. Given these the propensity is exact: it averages to the true chance, and
    what is weighted by it stays unbiased.

    An arm that wins none of the draws has no chance but its part of epsilon.
    """

    exploration: Exploration
    #: Deviation of the posterior in units of the width, at least 0.
    scale: float
    #: Draws from each arm's posterior, at least 1; shares are multiples of 1 / draws.
    draws: int

    @property
    def name(self) -> str:
        return "lints"

    def probabilities(self, view: View, x: Vector, arms: Sequence[str], seed: int) -> Vector:
        # Numbers belong to arms by name, so that their order in the request makes no difference.
        order = np.argsort(np.argsort(arms))
        normal = np.random.Generator(np.random.Philox(key=seed)).standard_normal((self.draws, len(arms)))
        rewards = view.means(x, arms) + self.scale * view.widths(x, arms) * normal[:, order]
        wins = rewards == rewards.max(axis=1, keepdims=True)
        shares = (wins / wins.sum(axis=1, keepdims=True)).mean(axis=0)
        return self.exploration.mix(shares, view.decisions)
