"""PPE's human preference metrics of one reward model."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from laserve.lab.data.row import Row
from laserve.lab.reward_models.accuracy import Accuracy, measure, ranks_of
from laserve.lab.reward_models.ppe.calibration import held_out
from laserve.lab.reward_models.ppe.rankings import Agreement, Battles, absent, compare
from laserve.lab.statistics import SHARE, Interval, mean
from laserve.types import Vector

#: Reason for a missing ranking of models.
_UNNAMED = "no row names two models, as chosen_model and rejected_model, or model_a and model_b"
#: Metrics of which less is better; of the others, more is better.
LESS_IS_BETTER = frozenset({"brier", "rank_brier"})


@dataclass(frozen=True, kw_only=True)
class PreferenceFigures(Agreement):
    """Metrics of one reward model; None for those in `missing`, which gives the reasons."""

    rows: int
    #: Rows where people saw a tie: they count in the win rates, not in accuracy and Brier score.
    ties: int
    #: Number of models that are compared.
    models: int
    accuracy: Accuracy | None
    #: Mean squared error of the chance of people's choice by the scaled score difference, 0..1; a fair coin
    #: has 0.25.
    brier: Interval | None


def measure_preferences(scored: Sequence[tuple[Row, Vector]]) -> PreferenceFigures:
    """All metrics over these rows.

    A score that is not finite is below all others, as in the service, which drops the candidate.

    Args:
        scored: rows that `needs.preferences` takes, at least one, with scores, shape (2,), float64.
    """
    ranked = [(row, ranks_of(scores)) for row, scores in scored]
    decided = [(row, scores) for row, scores in scored if row.instructive]
    missing: dict[str, str] = {}
    accuracy = brier = None
    if decided:
        accuracy = measure([(row, ranks) for row, ranks in ranked if row.instructive])
        brier = _brier(decided)
        if brier is None:
            missing["brier"] = "all rows have one source; the scores are scaled on other sources"
    else:
        missing = dict.fromkeys(("accuracy", "brier"), "people saw a tie in every row")
    battles = _battles(ranked)
    agreement = compare(battles) if len(battles.people) else absent(_UNNAMED)
    shared = {one.name: getattr(agreement, one.name) for one in fields(Agreement)}
    shared["missing"] = missing | dict(agreement.missing)
    return PreferenceFigures(
        **shared,
        rows=len(scored),
        ties=len(scored) - len(decided),
        models=len(battles.models),
        accuracy=accuracy,
        brier=brier,
    )


def _brier(decided: Sequence[tuple[Row, Vector]]) -> Interval | None:
    """Brier score of held-out chances; None with fewer than two sources."""
    sources = [row.source for row, _ in decided]
    if len(set(sources)) < 2:
        return None
    return mean((1.0 - held_out(_differences(decided), sources)) ** 2, sources, within=SHARE)


def _differences(decided: Sequence[tuple[Row, Vector]]) -> Vector:
    """Score of the preferred answer minus that of the other, shape (pairs,), float64.

    If one score is not finite, the difference is as large as the largest one; if neither is, it is 0.
    """
    scores = np.array([given for _, given in decided], dtype=np.float64)
    first = np.array([row.qualities[0] > row.qualities[1] for row, _ in decided])
    finite = np.isfinite(scores)
    known = np.where(finite, scores, 0.0)
    difference = np.where(finite.all(axis=1), known[:, 0] - known[:, 1], 0.0)
    bound = np.abs(difference).max(initial=0.0) or 1.0
    difference[finite[:, 0] & ~finite[:, 1]] = bound
    difference[~finite[:, 0] & finite[:, 1]] = -bound
    return np.where(first, difference, -difference)


def _battles(ranked: Sequence[tuple[Row, Vector]]) -> Battles:
    """The rows that name two different models."""
    named = [(row, ranks) for row, ranks in ranked if len(set(row.models)) == 2]
    models = tuple(sorted({model for row, _ in named for model in row.models}))
    number = {model: index for index, model in enumerate(models)}
    sources = {source: index for index, source in enumerate(dict.fromkeys(row.source for row, _ in named))}
    ranks = np.array([given for _, given in named], dtype=np.float64).reshape(-1, 2)
    return Battles(
        models=models,
        first=np.array([number[row.models[0]] for row, _ in named], dtype=np.intp),
        second=np.array([number[row.models[1]] for row, _ in named], dtype=np.intp),
        people=np.array([row.qualities[0] for row, _ in named], dtype=np.float64),
        scorer=np.asarray((np.sign(ranks[:, 0] - ranks[:, 1]) + 1) / 2, dtype=np.float64),
        source=np.array([sources[row.source] for row, _ in named], dtype=np.intp),
    )
