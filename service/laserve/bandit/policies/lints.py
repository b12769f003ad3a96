"""LinTS: Thompson sampling on the linear models."""

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
    x . theta_k and deviation scale sqrt(x' A_k^-1 x): one normal number replaces a draw of the whole vector.
    The chance that an arm wins a draw has no closed form. So the policy makes `draws` draws from each arm's
    posterior, and draws the arm by the shares of draws that the arms won. Given these shares the propensity
    is exact: it averages to the true chance, and estimates weighted by it stay unbiased.

    An arm that wins none of the draws keeps only its part of epsilon.
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
        # Each arm takes its column by its rank among the names, so that the order of `arms` makes no
        # difference.
        order = np.argsort(np.argsort(arms))
        normal = np.random.Generator(np.random.Philox(key=seed)).standard_normal((self.draws, len(arms)))
        rewards = view.means(x, arms) + self.scale * view.widths(x, arms) * normal[:, order]
        wins = rewards == rewards.max(axis=1, keepdims=True)
        shares = (wins / wins.sum(axis=1, keepdims=True)).mean(axis=0)
        return self.exploration.mix(shares, view.decisions)
