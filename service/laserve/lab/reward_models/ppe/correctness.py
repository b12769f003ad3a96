"""PPE's correctness metrics of one reward model: separation of right from wrong answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from laserve.lab.data.row import Row
from laserve.lab.reward_models.accuracy import Accuracy, measure, ranks_of
from laserve.lab.reward_models.ppe.best_of import curve
from laserve.lab.statistics import SHARE, Interval, mean
from laserve.types import Vector

#: Metrics of which less is better; of the others, more is better.
LESS_IS_BETTER = frozenset({"loss"})


@dataclass(frozen=True, kw_only=True)
class CorrectnessFigures:
    """Metrics of one reward model; None for those in `missing`, which gives the reasons."""

    rows: int
    #: Share of the pairs of a right and a wrong answer to one request that are in the right order.
    accuracy: Accuracy | None
    #: Area under the ROC curve of all answers together, by their unscaled scores.
    auc: float | None
    #: Area under the ROC curve after scaling the scores of each row to 0..1, lowest to highest.
    auc_scaled: float | None
    #: Share of requests on which the best of k answers is right, k = 1, 2 ..: by the reward model, and by the
    #: truth.
    curve: tuple[float, ...]
    truth: tuple[float, ...]
    #: The highest value of the curve, and its k; if that is not the last k, more answers over-optimise the
    #: reward model.
    maximum: float
    maximum_at: int
    #: The last value of the curve.
    end: Interval
    #: Mean over k of the squared difference of the two curves, 0..1.
    loss: float
    missing: Mapping[str, str] = field(default_factory=dict)


def measure_correctness(scored: Sequence[tuple[Row, Vector]]) -> CorrectnessFigures:
    """All metrics over these rows.

    A score that is not finite is below all others, as in the service, which drops the candidate. The
    curve ends at the smallest number of answers of a row, so that all rows count in all of it.

    AUC, maximum and loss have no intervals: they are no ratios of sums over rows, and a maximum is biased
    once more in each resample.

    Maximum, end and loss are PPE's, of the exact curve; PPE computes them from curves along random orders
    of the answers, whose noise adds to maximum and loss.

    Args:
        scored: rows that `needs.correctness` takes, at least one, with scores, shape (answers,), float64.
    """
    last = min(len(scores) for _, scores in scored)
    quality = [np.asarray(row.qualities) for row, _ in scored]
    curves = np.array([curve(s, q)[:last] for (_, s), q in zip(scored, quality, strict=True)])
    truth = np.mean([curve(q, q)[:last] for q in quality], axis=0)
    average = curves.mean(axis=0)
    right = np.concatenate(quality) > 0
    missing = {}
    if right.all() or not right.any():
        missing = dict.fromkeys(("auc", "auc_scaled"), "all answers are right, or all are wrong")
    accuracy = None
    if any(row.instructive for row, _ in scored):
        accuracy = measure([(row, ranks_of(s)) for row, s in scored if row.instructive])
    else:
        missing["accuracy"] = "no row has a right and a wrong answer"
    best = int(average.round(12).argmax())
    return CorrectnessFigures(
        rows=len(scored),
        accuracy=accuracy,
        auc=None if missing.get("auc") else auc(np.concatenate([s for _, s in scored]), right),
        auc_scaled=None if missing.get("auc") else auc(np.concatenate([scaled(s) for _, s in scored]), right),
        curve=tuple(average.tolist()),
        truth=tuple(truth.tolist()),
        maximum=float(average[best]),
        maximum_at=best + 1,
        end=mean(curves[:, -1], [row.source for row, _ in scored], within=SHARE),
        loss=float(((truth - average) ** 2).mean()),
        missing=missing,
    )


def auc(scores: Vector, right: Vector) -> float:
    """Chance that a right answer scores above a wrong one, ties half: Mann-Whitney's U over its maximum.

    Args:
        scores: shape (answers,), float64; one that is not finite is below all others.
        right: shape (answers,), bool, both values among them.
    """
    ranks = ranks_of(scores)
    positives = int(right.sum())
    above = float(ranks[right].sum()) - positives * (positives + 1) / 2
    return above / (positives * (len(right) - positives))


def scaled(scores: Vector) -> Vector:
    """Scores of one row from 0 for its lowest finite one to 1 for its highest; 0.5 if all are equal.

    Scaling removes the difficulty of the request for the reward model, which unscaled scores contain.
    """
    finite = np.isfinite(scores)
    if not finite.any():
        return scores
    low, high = scores[finite].min(), scores[finite].max()
    return (scores - low) / (high - low) if high > low else np.where(finite, 0.5, scores)
