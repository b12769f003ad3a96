"""Exact quality of the best of k answers by a reward model."""

import numpy as np

from laserve.lab.reward_models.accuracy import ranks_of
from laserve.types import Vector


def curve(scores: Vector, quality: Vector) -> Vector:
    """Expected quality of the answer with the best score among k, for k = 1..n, shape (n,), float64.

    The expectation is over all k-subsets of the n answers and over the ties in each, in closed form. The
    best score of a k-subset is the value v with chance [C(U, k) - C(L, k)] / C(n, k), where U answers score
    at most v and L below it; then each answer with score v is returned with equal chance. Without ties this
    is the estimator of Nakano et al. (2021, WebGPT), appendix I.

    Args:
        scores: shape (n,), float64; one that is not finite is below all others.
        quality: shape (n,), float64, in [0, 1].
    """
    count = len(scores)
    ranks = ranks_of(scores)
    values, group = np.unique(ranks, return_inverse=True)
    within = np.bincount(group, minlength=len(values))
    average = np.bincount(group, weights=quality, minlength=len(values)) / within
    up_to = np.concatenate([[0], np.cumsum(within)])
    k = np.arange(1, count + 1)
    # C(u, k) / C(n, k) = product over i < k of (u - i) / (n - i), 0 from k = u + 1 on.
    factors = np.maximum(up_to[:, None] - (k - 1), 0) / (count - (k - 1))
    chance = np.diff(np.cumprod(factors, axis=1), axis=0)
    return np.asarray(average @ chance, dtype=np.float64)
