"""Scores of answers of known quality by loaded arms."""

import asyncio
import logging
from collections.abc import Sequence

from laserve.arms.arms import Arms
from laserve.errors import ArmFailed
from laserve.lab.data.rows import Group
from laserve.lab.progress import progress
from laserve.types import Candidate, Vector

logger = logging.getLogger(__name__)

#: Groups that are scored concurrently.
_AT_ONCE = 4

#: Arm -> index of a group -> scores, shape (answers,), float64, NaN for a missing score. Groups that an arm
#: cannot score at all have no entry.
Scores = dict[str, dict[int, Vector]]


async def score_all(arms: Arms, groups: Sequence[Group]) -> Scores:
    """Scores of all groups by every arm, with progress on standard error."""
    scores: Scores = {name: {} for name in arms.ready}
    with progress("scoring", len(groups)) as report:
        for start in range(0, len(groups), _AT_ONCE):
            indices = range(start, min(start + _AT_ONCE, len(groups)))
            jobs = [(name, index) for name in scores for index in indices]
            given = await asyncio.gather(*(_score(arms, name, groups[index]) for name, index in jobs))
            for (name, index), one in zip(jobs, given, strict=True):
                if one is not None:
                    scores[name][index] = one
            report.advance(len(indices))
    return scores


async def _score(arms: Arms, name: str, group: Group) -> Vector | None:
    """Scores of a group; None if the arm cannot score it at all."""
    if name == "loglik" and not group.logprobs:
        return None
    logprobs = group.logprobs or (0.0,) * len(group.texts)
    candidates = [
        Candidate(index=index, text=text, finish_reason="stop", tokens=1, logprob=logprob)
        for index, (text, logprob) in enumerate(zip(group.texts, logprobs, strict=True))
    ]
    try:
        return (await arms.score(name, group.request, candidates)).scores
    except ArmFailed as error:
        logger.warning("arm %s cannot score %s: %s", name, group.id, error.message)
        return None
