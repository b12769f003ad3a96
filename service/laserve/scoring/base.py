"""The reward model's protocol."""

from collections.abc import Sequence
from typing import Protocol

from laserve.types import Candidate, Request, Vector


class RewardModel(Protocol):
    """Scores the candidates of one request; higher is better, in a unit of its own."""

    #: Name of its kind.
    kind: str
    #: Scoring costs nothing to speak of, so it scores every request and learns from each.
    free: bool
    #: A score depends on the other candidates, so it takes all at once, equal texts included.
    needs_all: bool

    async def load(self) -> None:
        """Make ready. Raises ConfigError for what a setting can mend, ArmFailed otherwise."""

    async def score(self, request: Request, candidates: Sequence[Candidate]) -> Vector:
        """Score candidates of one request.

        Args:
            request: with question, documents and messages apart; the model renders them as it needs.
            candidates: at least one.

        Returns:
            Shape (len(candidates),), float64. A score that is not finite drops its candidate.

        Raises:
            ArmFailed: it cannot score this request.
        """

    async def close(self) -> None: ...
