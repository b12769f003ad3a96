"""Ensembles: the scores of several arms combined into one score for each candidate."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from laserve.types import Vector

Combine = Callable[[Mapping[str, Vector]], Vector]


def standardised(scores: Vector) -> Vector:
    """Z-scores within a request, shape (n,): mean 0, standard deviation 1; all 0 where scores are equal.

    Args:
        scores: shape (n,); NaN for a candidate without a score, also in the result.
    """
    known = scores[~np.isnan(scores)]
    if not len(known):
        return scores
    spread = known.std()
    if spread == 0 or known.min() == known.max():  # by rounding, equal scores may deviate
        return scores * 0.0
    return np.asarray((scores - known.mean()) / spread, dtype=np.float64)


def win_rates(scores: Vector) -> Vector:
    """Share of the other candidates that each candidate beats, shape (n,), 0..1; a tie counts half.

    Args:
        scores: shape (n,); NaN for a candidate without a score, also in the result.
    """
    known = ~np.isnan(scores)
    others = max(int(known.sum()) - 1, 1)
    below = (scores[None, known] < scores[:, None]).sum(axis=1)
    equal = (scores[None, known] == scores[:, None]).sum(axis=1) - known
    return np.where(known, (below + equal / 2) / others, np.nan)


def averaged(rows: list[Vector]) -> Vector:
    """Mean over arms of the known scores of each candidate, shape (n,); NaN for a candidate without any."""
    matrix = np.array(rows)
    counts = (~np.isnan(matrix)).sum(axis=0)
    unknown = np.full(matrix.shape[1], np.nan)
    return np.asarray(np.divide(np.nansum(matrix, axis=0), counts, out=unknown, where=counts > 0))


def mean_of_scores(scores: Mapping[str, Vector]) -> Vector:
    """Mean z-score over the arms."""
    return averaged([standardised(each) for each in scores.values()])


def mean_of_ranks(scores: Mapping[str, Vector]) -> Vector:
    """Mean over the arms of the share of the other candidates that each candidate beats."""
    return averaged([win_rates(each) for each in scores.values()])


def weighted(scores: Mapping[str, Vector], weights: Mapping[str, float]) -> Vector:
    """Weighted sum of z-scores, shape (n,); an arm without a score of a candidate adds 0 to its sum.

    Args:
        scores: arm -> scores, shape (n,).
        weights: arm -> weight, for every arm in `scores`.
    """
    rows = np.array([standardised(each) for each in scores.values()])
    weight = np.array([weights[arm] for arm in scores])
    unknown = np.isnan(rows)
    return np.asarray(np.where(unknown.all(axis=0), np.nan, weight @ np.where(unknown, 0.0, rows)))


@dataclass(frozen=True)
class Ensemble:
    """A choice by the combined scores of all arms, at the cost of all arms on each request.

    LASeR (arXiv 2410.01735), section 4: its baselines that use all reward models.
    """

    name: str
    combine: Combine


#: Name -> ensemble.
ENSEMBLES = {
    ensemble.name: ensemble
    for ensemble in (Ensemble("ensemble-mean", mean_of_scores), Ensemble("ensemble-rank", mean_of_ranks))
}
