"""Reward models without readings of their own: a `score` by request and candidates is all they need.

This module alone knows both forms. What is made by `laserve.scoring.registry` is of the form of
`laserve.scoring.base.RewardModel`, whichever form a kind or a plugin has.
"""

from collections.abc import Sequence
from typing import Any, Protocol, cast, runtime_checkable

from laserve.scoring.base import Reading, RewardModel
from laserve.types import Candidate, Request, Vector

_PLAIN = ("kind", "free", "needs_all", "load", "score", "close")
_READING = ("kind", "free", "needs_all", "reads_ahead", "load", "open", "close")


class Scorer(Protocol):
    """A reward model whose scores depend on nothing but its arguments; see `RewardModel` for the rest."""

    kind: str
    free: bool
    needs_all: bool

    async def load(self) -> None: ...

    async def score(self, request: Request, candidates: Sequence[Candidate]) -> Vector:
        """Scores of candidates, shape (len(candidates),), float64; see `Reading.score`."""

    async def close(self) -> None: ...


@runtime_checkable
class Prefilling(Protocol):
    """A `Scorer` that reads a prompt once for all candidates, and can do so before there are any.

    All calls that are about one reading have the same `request` object.
    """

    async def prefill(self, request: Request) -> None:
        """Compute what all candidates share. Raises what `score` raises."""

    def truncated(self, request: Request) -> bool:
        """Whether documents lost tokens when this very object was last rendered; False when it never was."""


class PlainModel:
    """The reward model that a `Scorer` is."""

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
    """Calls of a scorer with one request object."""

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


def as_reward_model(made: Any) -> RewardModel:
    """What a kind or a plugin has made, of either form; see `lacking`."""
    return cast(RewardModel, made) if _opens(made) else PlainModel(made)


def lacking(made: Any) -> list[str]:
    """Members that are missing for either form; none where it is a reward model."""
    if _opens(made):
        return []
    wanted = _READING if hasattr(made, "open") and not hasattr(made, "score") else _PLAIN
    return [member for member in wanted if not hasattr(made, member)]


def _opens(made: Any) -> bool:
    """Whether it has all of `RewardModel`; a scorer may have an `open` that means something else."""
    return all(hasattr(made, member) for member in _READING)
