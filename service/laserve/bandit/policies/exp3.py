"""Exp3: exponential weights on importance-weighted losses."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from laserve.bandit.policies.base import View
from laserve.bandit.policies.exploration import Exploration
from laserve.types import Vector


@dataclass(frozen=True, kw_only=True)
class Exp3:
    """Chances in proportion to exp(-eta L_k), except for a share epsilon.

    Bubeck & Cesa-Bianchi, 2012 (arXiv 1204.5721), figure 3.1, with the anytime rate of theorem 3.1,
    eta_t = sqrt(ln K / (t K)). L_k sums (1 - reward) / propensity over the decisions that drew arm k, with
    the logged propensity: an unbiased estimate of the loss of always playing arm k, whichever policy drew.
    Losses are by intention: a loss belongs to the drawn arm, also where another arm scored instead of it.

    One decision adds at most 1 / propensity, which is at most K / epsilon, to one arm's losses, and so moves
    its odds by a factor of at most exp(eta K / epsilon). An arm that joins, or is enabled again, begins with
    the least loss of the enabled arms: see `laserve.bandit.state.fold`.

    With a discount, t is the sum of the decisions' weights, so that eta settles where the losses do.
    """

    exploration: Exploration

    @property
    def name(self) -> str:
        return "exp3"

    def probabilities(self, view: View, x: Vector, arms: Sequence[str], seed: int) -> Vector:
        k = len(arms)
        losses = view.losses(arms)
        eta = np.sqrt(np.log(k) / (k * (view.evidence + 1)))
        weights = np.exp(-eta * (losses - losses.min()))
        return self.exploration.mix(weights / weights.sum(), view.decisions)
