"""Calibration of a reward model's score differences as chances that people agree."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from laserve.lab.statistics import folds
from laserve.types import Vector


def platt(differences: Vector) -> float:
    """Slope a >= 0 of P(preferred) = sigmoid(a d), the maximum of the likelihood.

    Platt's scaling (Lin, Lin and Weng, 2007, equations 1 and 2) with the smoothed target (n + 1) / (n + 2),
    so that the slope is finite even where every difference is positive. It has no intercept, since the order
    of two answers says nothing: each pair counts in both orders. A negative slope would reverse
    a reward model that prefers the worse answer; instead the slope is 0, the chance one half.

    Args:
        differences: score of the preferred answer minus that of the other, shape (pairs,), float64, finite.
    """
    unit = float(np.abs(differences).max(initial=0.0))
    scaled = differences / unit if unit else differences
    if scaled.sum() <= 0.0:
        return 0.0
    target = (len(scaled) + 1) / (len(scaled) + 2)

    def derivative(slope: float) -> float:
        """Derivative of the negative log-likelihood: negative at 0, rising, positive in the limit."""
        return float((scaled * (expit(slope * scaled) - target)).sum())

    above = 1.0
    while derivative(above) < 0.0:
        above *= 2.0
    return float(brentq(derivative, 0.0, above)) / unit


def held_out(differences: Vector, sources: Sequence[str]) -> Vector:
    """Chance of the preferred answer, shape (pairs,), by a slope fitted without the pair's source.

    The sources are dealt into five parts, and each part is scaled by the others.

    Args:
        differences: as in `platt`.
        sources: source of each pair, at least two different ones.
    """
    parts = folds(sources)
    chance = np.empty(len(differences))
    for one in np.unique(parts):
        chance[parts == one] = expit(platt(differences[parts != one]) * differences[parts == one])
    return chance
