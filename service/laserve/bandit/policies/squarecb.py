"""Inverse-gap weighting on the linear models."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from laserve.bandit.policies.base import View
from laserve.bandit.policies.exploration import Exploration
from laserve.types import Vector


@dataclass(frozen=True, kw_only=True)
class SquareCB:
    """The further an arm is predicted to fall behind, the less it is drawn: 1 / (K + gamma gap).

    Foster & Rakhlin, 2020 (arXiv 2002.04926), algorithm 1 with mu = K: the predicted best takes what the
    others leave, and arms that tie for best share it. Their gamma, for a horizon T known before, is of order
    sqrt(K T); with t for T (the decisions learned, as much as they still count) it needs no horizon. The
    chance of an arm that is behind moves by at most gamma / K^2 of what its gap does.
    """

    exploration: Exploration
    #: gamma over sqrt(K t), above 0; larger is greedier.
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
