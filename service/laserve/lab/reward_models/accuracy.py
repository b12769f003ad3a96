"""Pair accuracy of scores on answers of known quality."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import rankdata

from laserve.lab.data.row import Row
from laserve.lab.statistics import SHARE, Interval, ratio
from laserve.types import Vector


@dataclass(frozen=True, kw_only=True)
class Accuracy(Interval):
    """Share of pairs in the right order, in [0, 1]; a tie is half right. Sources count by their pairs."""

    pairs: int
    groups: int


def measure(scored: Sequence[tuple[Row, Vector]]) -> Accuracy:
    """Pair accuracy.

    Args:
        scored: each row with its scores, shape (answers,), float64; higher is better.
    """
    right, pairs = np.zeros(len(scored)), np.zeros(len(scored))
    for index, (row, scores) in enumerate(scored):
        rewards = np.asarray(row.qualities)
        better = rewards[:, None] > rewards[None, :]
        difference = (scores[:, None] - scores[None, :])[better]
        right[index] = (difference > 0).sum() + (difference == 0).sum() / 2
        pairs[index] = better.sum()
    sources = [row.source for row, _ in scored]
    return Accuracy(
        **asdict(ratio(right, pairs, sources, within=SHARE)), pairs=int(pairs.sum()), groups=len(scored)
    )


def ranks_of(scores: Vector) -> Vector:
    """Rank of each score, the lowest 1, ties averaged; a score that is not finite is below all others.

    Args:
        scores: shape (answers,), float64.
    """
    return np.asarray(rankdata(np.where(np.isfinite(scores), scores, -np.inf)), dtype=np.float64)


def length_only(held: Sequence[Row], train: Sequence[Row]) -> Accuracy:
    """Accuracy of length as a score: longer, or shorter, whichever is right more often in training."""
    longer = _by(lambda text: float(len(text)), train)
    sign = 1.0 if not longer or measure(longer).value >= 0.5 else -1.0
    return measure(_by(lambda text: sign * len(text), held))


def _by(score: Callable[[str], float], rows: Sequence[Row]) -> list[tuple[Row, Vector]]:
    return [(row, np.array([score(text) for text in row.texts])) for row in rows]
