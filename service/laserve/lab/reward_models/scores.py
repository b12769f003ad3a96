"""Scores of answers of known quality by loaded arms."""

import asyncio
import logging
from collections.abc import Sequence

from laserve.arms.arms import Arms
from laserve.errors import ArmFailed
from laserve.lab.data.row import Row
from laserve.lab.progress import progress
from laserve.types import Candidate, Vector

logger = logging.getLogger(__name__)

#: Rows that are scored concurrently.
_AT_ONCE = 4

#: Arm -> index of a row -> scores, shape (answers,), float64, NaN for a missing score. Rows that an arm
#: cannot score at all have no entry.
Scores = dict[str, dict[int, Vector]]


async def score_all(arms: Arms, rows: Sequence[Row]) -> Scores:
    """Scores of all rows by every arm, with progress on standard error."""
    scores: Scores = {name: {} for name in arms.ready}
    with progress("scoring", len(rows)) as report:
        for start in range(0, len(rows), _AT_ONCE):
            indices = range(start, min(start + _AT_ONCE, len(rows)))
            jobs = [(name, index) for name in scores for index in indices]
            given = await asyncio.gather(*(_score(arms, name, rows[index]) for name, index in jobs))
            for (name, index), one in zip(jobs, given, strict=True):
                if one is not None:
                    scores[name][index] = one
            report.advance(len(indices))
    return scores


async def _score(arms: Arms, name: str, row: Row) -> Vector | None:
    """Scores of a row; None if the arm cannot score it at all."""
    if name == "loglik" and not row.logprobs:
        return None
    logprobs = row.logprobs or (0.0,) * len(row.texts)
    candidates = [
        Candidate(index=index, text=text, finish_reason="stop", tokens=1, logprob=logprob)
        for index, (text, logprob) in enumerate(zip(row.texts, logprobs, strict=True))
    ]
    try:
        return (await arms.score(name, row.request, candidates)).scores
    except ArmFailed as error:
        logger.warning("arm %s cannot score %s: %s", name, row.id, error.message)
        return None
