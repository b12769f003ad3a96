"""Exponential weights on importance-weighted losses."""

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
    the propensity that was logged: an estimate of the loss of always playing it, unbiased whichever policy
    drew. It is by intention: the loss belongs to the arm that was drawn, also where another took its place.

    One decision adds at most 1 / propensity, which is at most K / epsilon, to one arm's losses, and so moves
    its odds by a factor of at most exp(eta K / epsilon). An arm that joins, or comes back, begins with the
    losses of the best that is there: see `laserve.bandit.state.fold`.

    With a discount t is what the decisions still count, so that eta settles where the losses do.
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
