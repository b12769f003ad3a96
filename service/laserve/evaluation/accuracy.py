"""How well scores order answers of known quality."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from laserve.evaluation.rows import Group
from laserve.types import Vector

#: Resamples of the bootstrap.
RESAMPLES = 2000


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Share of pairs in the right order; a tie is half right. Each source counts by its pairs."""

    #: In [0, 1].
    value: float
    #: 95% percentile interval of a bootstrap over sources.
    low: float
    high: float
    pairs: int
    groups: int
    sources: int


def measure(scored: Sequence[tuple[Group, Vector]]) -> Accuracy:
    """Pair accuracy.

    Args:
        scored: each group with its scores, shape (answers,), float64; higher is better.
    """
    right: dict[str, float] = {}
    pairs: dict[str, int] = {}
    for group, scores in scored:
        rewards = np.asarray(group.rewards)
        better = rewards[:, None] > rewards[None, :]
        difference = (scores[:, None] - scores[None, :])[better]
        right[group.source] = right.get(group.source, 0.0) + float(
            (difference > 0).sum() + (difference == 0).sum() / 2
        )
        pairs[group.source] = pairs.get(group.source, 0) + int(better.sum())
    hits, counts = np.array(list(right.values())), np.array(list(pairs.values()), dtype=float)
    draws = np.random.default_rng(0).integers(len(hits), size=(RESAMPLES, len(hits)))
    resampled = hits[draws].sum(axis=1) / np.maximum(counts[draws].sum(axis=1), 1.0)
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Accuracy(
        value=float(hits.sum() / max(counts.sum(), 1.0)),
        low=float(low),
        high=float(high),
        pairs=int(counts.sum()),
        groups=len(scored),
        sources=len(hits),
    )


def length_only(held: Sequence[Group], train: Sequence[Group]) -> Accuracy:
    """What length alone achieves: longer, or shorter, whichever is right more often in training."""
    longer = _by(lambda text: float(len(text)), train)
    sign = 1.0 if not longer or measure(longer).value >= 0.5 else -1.0
    return measure(_by(lambda text: sign * len(text), held))


def _by(score: Callable[[str], float], groups: Sequence[Group]) -> list[tuple[Group, Vector]]:
    return [(group, np.array([score(text) for text in group.texts])) for group in groups]
