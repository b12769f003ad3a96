"""Scores of several arms made one: what an ensemble returns, and what its weighted kin does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from laserve.types import Vector

Combine = Callable[[Mapping[str, Vector]], Vector]


def standardised(scores: Vector) -> Vector:
    """Z-scores within a request, shape (n,): mean 0, standard deviation 1; all 0 where scores are equal.

    Args:
        scores: shape (n,); NaN where a candidate has none, which stays NaN.
    """
    known = scores[~np.isnan(scores)]
    if not len(known):
        return scores
    spread = known.std()
    if spread == 0 or known.min() == known.max():  # rounding may give equal scores a deviation
        return scores * 0.0
    return np.asarray((scores - known.mean()) / spread, dtype=np.float64)


def beaten(scores: Vector) -> Vector:
    """Share of the other candidates that each is better than, shape (n,), 0..1; a tie is half.

    Args:
        scores: shape (n,); NaN where a candidate has none, which stays NaN.
    """
    known = ~np.isnan(scores)
    others = max(int(known.sum()) - 1, 1)
    below = (scores[None, known] < scores[:, None]).sum(axis=1)
    equal = (scores[None, known] == scores[:, None]).sum(axis=1) - known
    return np.where(known, (below + equal / 2) / others, np.nan)


def averaged(rows: list[Vector]) -> Vector:
    """Mean over arms of what is known of each candidate, shape (n,); NaN where nothing is."""
    stacked = np.array(rows)
    counts = (~np.isnan(stacked)).sum(axis=0)
    unknown = np.full(stacked.shape[1], np.nan)
    return np.asarray(np.divide(np.nansum(stacked, axis=0), counts, out=unknown, where=counts > 0))


def mean_of_scores(scores: Mapping[str, Vector]) -> Vector:
    """Mean z-score over the arms."""
    return averaged([standardised(each) for each in scores.values()])


def mean_of_ranks(scores: Mapping[str, Vector]) -> Vector:
    """Mean over the arms of the share of candidates that each beats."""
    return averaged([beaten(each) for each in scores.values()])


def weighted(scores: Mapping[str, Vector], weights: Mapping[str, float]) -> Vector:
    """Weighted sum of z-scores, shape (n,); an arm that gave a candidate no score says nothing of it.

    Args:
        weights: of every arm in `scores`.
    """
    rows = np.array([standardised(each) for each in scores.values()])
    weight = np.array([weights[arm] for arm in scores])
    unknown = np.isnan(rows)
    return np.asarray(np.where(unknown.all(axis=0), np.nan, weight @ np.where(unknown, 0.0, rows)))


@dataclass(frozen=True)
class Ensemble:
    """Every arm scores, and what they make of it together chooses: the price of all, on each request.

    LASeR (arXiv 2410.01735), section 4: its baselines that use all reward models.
    """

    name: str
    combine: Combine


#: Name -> ensemble.
ENSEMBLES = {
    made.name: made
    for made in (Ensemble("ensemble-mean", mean_of_scores), Ensemble("ensemble-rank", mean_of_ranks))
}
