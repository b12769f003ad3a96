"""95% intervals: percentiles of a bootstrap over sources.

The rows of one source, for example an article, are not independent, so a resample has all rows of a
source, once or several times, or none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from laserve.types import Vector

Matrix = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.intp]

#: Resamples of a mean.
RESAMPLES = 2000
#: Resamples that are held in memory at once; `RESAMPLES` is a multiple.
_AT_ONCE = 100


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A value with the 95% percentile interval of a bootstrap over sources."""

    value: float
    low: float
    high: float


def interval(values: Vector) -> Interval:
    """The 95% interval of a value by its resamples.

    Args:
        values: shape (1 + resamples,), the value over all rows first, as `resampled_sums` gives sums.
    """
    low, high = percentiles(values[1:])
    return Interval(value=float(values[0]), low=float(low), high=float(high))


def percentiles(resampled: Matrix) -> tuple[Matrix, Matrix]:
    """Lower and upper bounds of 95% intervals: the 2.5% and 97.5% percentiles of the resamples.

    Args:
        resampled: shape (resamples, ...), float64.

    Returns:
        Two arrays of shape (...), float64.
    """
    low, high = np.percentile(resampled, [2.5, 97.5], axis=0)
    return low, high


def mean(values: Vector, sources: Sequence[str]) -> Interval:
    """Mean of a value per row.

    Args:
        values: shape (rows,), float64.
        sources: source of each row.
    """
    return ratio(values, np.ones(len(values)), sources)


def ratio(parts: Vector, wholes: Vector, sources: Sequence[str]) -> Interval:
    """Sum of the parts over the sum of the wholes; 0 where there are no wholes.

    Args:
        parts: shape (rows,), float64.
        wholes: shape (rows,), float64, at least 0.
        sources: source of each row.
    """
    number, count = _numbered(sources)
    part = np.bincount(number, weights=parts, minlength=count)
    whole = np.bincount(number, weights=wholes, minlength=count)
    resampled = [
        quotient(part[drawn].sum(axis=1), whole[drawn].sum(axis=1)) for drawn in _drawn(count, RESAMPLES)
    ]
    return interval(np.concatenate([quotient(part.sum(keepdims=True), whole.sum(keepdims=True)), *resampled]))


def quotient(part: Vector, whole: Vector) -> Vector:
    """The part over the whole, element by element; the part itself where the whole is 0."""
    return np.asarray(part / np.where(whole > 0, whole, 1.0), dtype=np.float64)


def resampled_sums(values: Matrix, sources: Sequence[str]) -> Matrix:
    """Sums of each row's values over all columns, and over the columns of each resample.

    Args:
        values: shape (M, columns), float64.
        sources: source of each column.

    Returns:
        Shape (M, 1 + `RESAMPLES`), float64.
    """
    number, count = _numbered(sources)
    sums = np.array([np.bincount(number, weights=row, minlength=count) for row in values])
    return np.concatenate(
        [sums.sum(axis=1, keepdims=True), *(sums @ counts for counts in _counts(count))], axis=1
    )


def resampled_weights(sources: Numbers, resamples: int) -> Iterator[Vector]:
    """How often each row is in a resample, one resample after the other.

    Args:
        sources: number of each row's source, shape (rows,).
        resamples: a multiple of 100.

    Yields:
        Shape (rows,), float64.
    """
    number, count = _numbered(sources.tolist())
    for drawn in _drawn(count, resamples):
        for one in drawn:
            yield np.bincount(one, minlength=count)[number].astype(np.float64)


def _numbered(sources: Sequence[str] | Sequence[int]) -> tuple[Numbers, int]:
    """Number of each row's source, by the order of their first rows, and the count of the sources."""
    numbers = {source: number for number, source in enumerate(dict.fromkeys(sources))}
    return np.array([numbers[source] for source in sources], dtype=np.intp), len(numbers)


def _drawn(count: int, resamples: int) -> Iterator[Numbers]:
    """Numbers of the sources of each resample, shape (resamples at once, count), in turn."""
    rng = np.random.default_rng(0)
    for _ in range(resamples // _AT_ONCE):
        yield rng.integers(count, size=(_AT_ONCE, count))


def _counts(count: int) -> Iterator[Matrix]:
    """How often each source is in each resample, shape (count, resamples at once), in turn."""
    rng = np.random.default_rng(0)
    for _ in range(RESAMPLES // _AT_ONCE):
        yield rng.multinomial(count, np.full(count, 1 / count), size=_AT_ONCE).T.astype(np.float64)
