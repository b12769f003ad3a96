"""Means with their 95% intervals; rows of one source, which are not independent, are drawn together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from laserve.types import Vector

#: Resamples of the bootstrap.
RESAMPLES = 2000
#: Resamples that are held in memory at once.
_AT_ONCE = 100


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value with the 95% percentile interval of a bootstrap over sources."""

    value: float
    low: float
    high: float


def ratio(parts: Vector, wholes: Vector, sources: Sequence[str]) -> Interval:
    """Sum of the parts over the sum of the wholes; 0 where there are no wholes.

    Args:
        parts: shape (rows,), float64.
        wholes: shape (rows,), float64, at least 0.
        sources: shape (rows,); these are resampled with all their rows.
    """
    places = {source: place for place, source in enumerate(dict.fromkeys(sources))}
    place = np.array([places[source] for source in sources], dtype=np.intp)
    part = np.bincount(place, weights=parts, minlength=len(places))
    whole = np.bincount(place, weights=wholes, minlength=len(places))
    rng = np.random.default_rng(0)
    resampled = []
    for _ in range(RESAMPLES // _AT_ONCE):
        draws = rng.integers(len(places), size=(_AT_ONCE, len(places)))
        resampled.append(_quotient(part[draws].sum(axis=1), whole[draws].sum(axis=1)))
    low, high = np.percentile(np.concatenate(resampled), [2.5, 97.5])
    return Interval(value=float(_quotient(part.sum(), whole.sum())), low=float(low), high=float(high))


def mean(values: Vector, sources: Sequence[str]) -> Interval:
    """Mean of a value per row.

    Args:
        values: shape (rows,), float64.
        sources: source of each row.
    """
    return ratio(values, np.ones(len(values)), sources)


def _quotient(part: Vector, whole: Vector) -> Vector:
    return np.asarray(part / np.where(whole > 0, whole, 1.0), dtype=np.float64)
