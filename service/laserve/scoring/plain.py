"""Reward models without readings of their own: scorers, which have `score` with request and candidates.

This module alone knows both forms. Models from `laserve.scoring.registry` have the form of
`laserve.scoring.base.RewardModel`, whichever form the kind or plugin has.
"""

from collections.abc import Sequence
from typing import Any, cast

from laserve.scoring.base import Prefilling, Reading, RewardModel, Scorer
from laserve.types import Candidate, Request, Vector

_PLAIN = ("kind", "free", "needs_all", "load", "score", "close")
_READING = ("kind", "free", "needs_all", "reads_ahead", "load", "open", "close")


class PlainModel:
    """A `Scorer` in the form of a `RewardModel`."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    @property
    def kind(self) -> str:
        return self.scorer.kind

    @property
    def free(self) -> bool:
        return self.scorer.free

    @property
    def needs_all(self) -> bool:
        return self.scorer.needs_all

    @property
    def reads_ahead(self) -> bool:
        return isinstance(self.scorer, Prefilling)

    async def load(self) -> None:
        await self.scorer.load()

    def open(self, request: Request) -> Reading:
        return _PlainReading(self.scorer, request)

    async def close(self) -> None:
        await self.scorer.close()


class _PlainReading:
    """The reading of one request object by a scorer."""

    def __init__(self, scorer: Scorer, request: Request) -> None:
        self._scorer = scorer
        self._request = request

    @property
    def truncated(self) -> bool:
        return isinstance(self._scorer, Prefilling) and self._scorer.truncated(self._request)

    async def prefill(self) -> None:
        if isinstance(self._scorer, Prefilling):
            await self._scorer.prefill(self._request)

    async def score(self, candidates: Sequence[Candidate]) -> Vector:
        return await self._scorer.score(self._request, candidates)

    def close(self) -> None: ...


def as_reward_model(model: Any) -> RewardModel:
    """The reward model for an object of either form, which a kind or a plugin has made."""
    return cast(RewardModel, model) if _has_readings(model) else PlainModel(model)


def missing_members(model: Any) -> list[str]:
    """Members that the object lacks for either form; empty if it is a reward model."""
    if _has_readings(model):
        return []
    required = _READING if hasattr(model, "open") and not hasattr(model, "score") else _PLAIN
    return [member for member in required if not hasattr(model, member)]


def _has_readings(model: Any) -> bool:
    """Whether the object has all members of `RewardModel`; a scorer may have an unrelated `open`."""
    return all(hasattr(model, member) for member in _READING)
