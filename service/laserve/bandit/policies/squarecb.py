"""SquareCB: inverse-gap weighting on the linear models."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from laserve.bandit.policies.base import View
from laserve.bandit.policies.exploration import Exploration
from laserve.types import Vector


@dataclass(frozen=True, kw_only=True)
class SquareCB:
    """Draws an arm with chance 1 / (K + gamma gap), gap being its distance to the best prediction.

    Foster & Rakhlin, 2020 (arXiv 2002.04926), algorithm 1 with mu = K: the predicted best takes the remaining
    chance, and arms that tie for best share it. Their gamma, for a horizon T known before, is of order
    sqrt(K T); with t (the sum of the weights of the learned decisions) for T it needs no horizon. When the
    gap of an arm behind the best moves, its chance moves by at most gamma / K^2 times as much.
    """

    exploration: Exploration
    #: gamma / sqrt(K t), above 0; a larger value is greedier.
    gap_scale: float

    @property
    def name(self) -> str:
        return "squarecb"

    def probabilities(self, view: View, x: Vector, arms: Sequence[str], seed: int) -> Vector:
        k = len(arms)
        means = view.means(x, arms)
        gaps = means.max() - means
        gamma = self.gap_scale * np.sqrt(k * max(view.evidence, 1.0))
        behind = np.where(gaps > 0, 1 / (k + gamma * gaps), 0.0)
        best = gaps == 0
        chances = np.where(best, (1 - behind.sum()) / best.sum(), behind)
        return self.exploration.mix(chances, view.decisions)
