"""Evaluation of the configured arms on preferences and on right and wrong answers."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from laserve.arms.arms import Arms
from laserve.lab.data import needs
from laserve.lab.data.needs import Need
from laserve.lab.data.row import Row
from laserve.lab.reward_models.ppe import correctness, preferences
from laserve.lab.reward_models.ppe.correctness import measure_correctness
from laserve.lab.reward_models.ppe.domains import Scored, figures
from laserve.lab.reward_models.ppe.preferences import measure_preferences
from laserve.lab.reward_models.scores import score_all

#: Name of the row that prefers the longer answer, a baseline for reward models.
LONGEST = "longest answer"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of rows, with its metrics."""

    name: str
    need: Need
    measure: Callable[[Scored], Any]
    #: Metrics for which the worst domain is reported.
    metrics: tuple[str, ...]
    less_is_better: Collection[str]


PREFERENCES = Kind(
    name="preferences",
    need=needs.preferences,
    measure=measure_preferences,
    metrics=(
        "accuracy",
        "brier",
        "row_pearson",
        "spearman",
        "kendall",
        "separability",
        "confidence_agreement",
        "rank_brier",
    ),
    less_is_better=preferences.LESS_IS_BETTER,
)
CORRECTNESS = Kind(
    name="correctness",
    need=needs.correctness,
    measure=measure_correctness,
    metrics=("accuracy", "auc", "auc_scaled", "maximum", "end", "loss"),
    less_is_better=correctness.LESS_IS_BETTER,
)


async def evaluate(arms: Arms, kind: Kind, rows: Sequence[Row]) -> dict[str, Any]:
    """Figures of all arms over these rows, at least one.

    Returns:
        ``rows`` and ``sources``; ``arms``, by name, the figures of `domains.figures` over the rows that
        the arm could score, and for ``longest answer``, the length as a score; and ``unscored``, by name,
        the number of rows that an arm could not score.
    """
    scores = await score_all(arms, rows)
    scores[LONGEST] = _lengths(rows)
    return {
        "rows": len(rows),
        "sources": len({row.source for row in rows}),
        "arms": {
            name: await asyncio.to_thread(
                _figures, kind, [(rows[index], one) for index, one in by_index.items()]
            )
            for name, by_index in scores.items()
            if by_index
        },
        "unscored": {
            name: len(rows) - len(by_index) for name, by_index in scores.items() if len(by_index) < len(rows)
        },
    }


def _figures(kind: Kind, scored: Scored) -> dict[str, Any]:
    return figures(scored, kind.measure, metrics=kind.metrics, less_is_better=kind.less_is_better)


def _lengths(rows: Sequence[Row]) -> dict[int, Any]:
    return {index: np.array([float(len(text)) for text in row.texts]) for index, row in enumerate(rows)}
