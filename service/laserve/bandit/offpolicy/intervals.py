"""Estimates with 95% intervals by a bootstrap over clusters."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from laserve.types import Vector

Matrix = npt.NDArray[np.float64]

#: Least effective sample of an estimate, in decisions.
ENOUGH = 150
#: Share of the resampled deviations that the interval spans.
_LEVEL = 0.95
#: Deviations below this share of the largest sum are rounding errors.
_ROUNDING = 1e-12
#: Cluster counts in memory at once.
_AT_ONCE = 1 << 21


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean reward or a rate, with its 95% interval."""

    value: float
    #: Bounds within [0, 1], the range of rewards and rates; `value` is not clipped.
    low: float
    high: float
    #: (sum w)^2 / sum w^2, in decisions.
    effective_sample: float
    decisions: int
    clusters: int


@dataclass(frozen=True, kw_only=True)
class CannotSay:
    """The log has too few effective decisions for this target."""

    #: The smaller of (sum w)^2 / sum w^2 and its expectation; below `ENOUGH`.
    effective_sample: float
    decisions: int
    clusters: int
    #: Approximate number of further decisions of this kind needed; None where no decision has a weight so
    #: far.
    more_decisions: int | None


class ClusterBootstrap:
    """Resamples of whole clusters, shared by all estimates of a log.

    Args:
        labels: cluster of each row, shape (N,).
        resamples: number of resamples, at least some hundreds.
        seed: makes the resamples repeatable.
    """

    def __init__(self, labels: npt.NDArray[np.generic], *, resamples: int = 1000, seed: int = 0) -> None:
        names, self._cluster = np.unique(labels, return_inverse=True)
        self.clusters = len(names)
        self._resamples, self._seed = resamples, seed
        self._batches: list[npt.NDArray[np.float64]] = []

    def interval(self, numerator: Vector, denominator: Vector) -> tuple[float, float]:
        """95% interval of sum(numerator) / sum(denominator), cut to [0, 1], the range of rewards and rates.

        Args:
            numerator: shape (N,), finite.
            denominator: shape (N,), finite, with a positive sum.
        """
        low, high = self.intervals(numerator[None, :], denominator)
        return min(max(float(low[0]), 0.0), 1.0), min(max(float(high[0]), 0.0), 1.0)

    def intervals(self, numerators: Matrix, denominator: Vector) -> tuple[Vector, Vector]:
        """95% intervals of several ratios sum(numerator) / sum(denominator), not cut to any range.

        Studentised and symmetric: value +- q se, with q the 95% quantile of |value* - value| / se* over the
        resamples (Hall 1988, "On symmetric bootstrap confidence intervals"), and se the linearised,
        cluster-robust standard error, se^2 = C / (C - 1) sum_c (u_c - value v_c)^2 / V^2, over C clusters
        with sums u_c and v_c. Clusters are drawn with all their rows, and se* is computed in each resample
        (the pairs cluster bootstrap-t of Cameron, Gelbach and Miller 2008).

        Reason for this interval: where an arm was seldom drawn, a few heavy weights carry both the estimate
        and its standard error. Studentising lets q grow with the uncertainty of that error. On 834 LinUCB
        logs, made as the logs of `laserve bench coverage`, and over all three estimators its coverage was
        95.1%; of normal intervals 93.8%, percentile 93.8%, BCa 94.0%, equal-tailed studentised 94.6% (93.2%
        for DR).

        IPS stays skewed: where its interval fails, the truth mostly lies above it. Three clusters or fewer
        give no bound; some twenty are needed where a few clusters hold most of the variation.

        Values that never vary give width 0, as in every bootstrap, however few they are, unless all rows are
        one cluster.

        Args:
            numerators: shape (M, N), finite.
            denominator: shape (N,), finite, with a positive sum.

        Returns:
            Lower and upper bounds, each of shape (M,); infinite where there is no bound.
        """
        u, v = np.stack([self._sums(row) for row in numerators]), self._sums(denominator)
        value = u.sum(axis=1) / v.sum()
        if self.clusters == 1:
            return np.full(len(u), -np.inf), np.full(len(u), np.inf)
        rest = u - value[:, None] * v  # deviations of full precision: nothing cancels later
        rest[np.abs(rest) <= _ROUNDING * np.abs(u).max(axis=1, keepdims=True)] = 0.0
        error = np.sqrt((rest * rest).sum(axis=1) * self._correction) / v.sum()
        varied = np.flatnonzero(error)
        half_width = np.zeros(len(u))
        half_width[varied] = error[varied] * self._quantiles(*_ordered(rest[varied], v))
        return value - half_width, value + half_width

    def weights(self) -> Iterator[Vector]:
        """How often each row is in a resample, shape (N,), one resample after the other."""
        for counts in self._counts():
            for one in counts:
                yield one[self._cluster]

    @property
    def _correction(self) -> float:
        return self.clusters / (self.clusters - 1)

    def _sums(self, values: Vector) -> Vector:
        return np.bincount(self._cluster, weights=values, minlength=self.clusters).astype(np.float64)

    def _quantiles(self, rest: Matrix, v: Matrix) -> Vector:
        """Quantile of |t*| of each ratio, shape (M,); infinite where too many resamples have spread 0.

        Args:
            rest, v: deviations and denominators by ratio and cluster, shape (M, C).
        """
        columns = np.concatenate([rest, v, rest * rest, rest * v, v * v]).T
        sums = np.concatenate([counts @ columns for counts in self._counts()])
        e, total, ee, ev, vv = np.split(sums, 5, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            off = e / total
            squares = ee - 2 * off * ev + off * off * vv
            squares[squares <= _ROUNDING * ee] = 0.0
            t = np.abs(off) * total / np.sqrt(squares * self._correction)
        t[np.isnan(t)] = 0.0  # neither a deviation nor a spread
        t[total <= 0] = np.inf
        return np.asarray(np.quantile(t, _LEVEL, axis=0, method="higher"), dtype=np.float64)

    def _counts(self) -> Iterator[npt.NDArray[np.float64]]:
        """Counts of each cluster in each resample, shape (batch, clusters), a batch at a time."""
        if not self._batches and self._resamples * self.clusters <= _AT_ONCE:
            self._batches = list(self._draw())
        yield from self._batches or self._draw()

    def _draw(self) -> Iterator[npt.NDArray[np.float64]]:
        generator = np.random.default_rng(self._seed)
        size = max(1, _AT_ONCE // self.clusters)
        for start in range(0, self._resamples, size):
            batch = min(size, self._resamples - start)
            drawn = generator.integers(self.clusters, size=(batch, self.clusters))
            drawn += self.clusters * np.arange(batch)[:, None]
            counts = np.bincount(drawn.ravel(), minlength=batch * self.clusters)
            yield counts.reshape(batch, self.clusters).astype(np.float64)


def _ordered(rest: Matrix, v: Vector) -> tuple[Matrix, Matrix]:
    """Deviations and denominators with the clusters in an order that depends on these values alone.

    So an interval depends neither on the order of the rows nor on the names of the clusters, and the interval
    of the negative values is the mirror image.

    Args:
        rest: shape (M, C).
        v: shape (C,).

    Returns:
        Two arrays of shape (M, C); a row of `rest` may have the opposite sign, of which |t*| is free.
    """
    rest = rest * np.where((rest**3).sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
    denominators = np.broadcast_to(v, rest.shape)
    steps = np.round(rest / np.abs(rest).max(axis=1, keepdims=True), 9)  # sums of other orders are equal
    order = np.lexsort((denominators, steps), axis=1)
    return np.take_along_axis(rest, order, axis=1), np.take_along_axis(denominators, order, axis=1)


def effective_sample(weights: Vector) -> float:
    """Effective sample (sum w)^2 / sum w^2: number of the target's own decisions with equal information.

    Kong 1992 ("A note on importance sampling using standardized weights", University of Chicago, report 348)
    has N / (1 + var w) for weights of mean 1, of which this is the sample version. It depends on weights
    alone, not on rewards, and counts the rows of a cluster as independent.

    Args:
        weights: shape (N,), at least 0.

    Returns:
        In [1, N]; 0 where every weight is 0.
    """
    squares = float(weights @ weights)
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def conclude(
    *,
    numerator: Vector,
    denominator: Vector,
    weights: Vector,
    expected: float,
    bootstrap: ClusterBootstrap,
) -> Estimate | CannotSay:
    """The estimate sum(numerator) / sum(denominator), or how many decisions it still needs.

    Args:
        numerator: shape (N,).
        denominator: shape (N,).
        weights: weights of the effective sample, shape (N,).
        expected: expectation of the effective sample before any draw. It accounts for heavy weights that
            were not drawn by chance: then the sample version is too large, and the estimate lacks their
            part.
        bootstrap: bootstrap over the clusters of these N rows.
    """
    n, observed = len(weights), effective_sample(weights)
    sample = min(observed, expected)
    if sample < ENOUGH:
        known = min((size for size in (observed, expected) if size > 0), default=None)
        return CannotSay(
            effective_sample=sample,
            decisions=n,
            clusters=bootstrap.clusters,
            more_decisions=None if known is None else max(1, ceil(n * ENOUGH / known) - n),
        )
    low, high = bootstrap.interval(numerator, denominator)
    return Estimate(
        value=float(numerator.sum() / denominator.sum()),
        low=low,
        high=high,
        effective_sample=observed,
        decisions=n,
        clusters=bootstrap.clusters,
    )
