"""The reward model's protocol."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

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
            Unscorable: the request is not for this model: too long, or of a form it does not know.
            ArmFailed: it cannot score now.
        """

    async def close(self) -> None: ...


@runtime_checkable
class Prefilling(Protocol):
    """A reward model that reads a prompt once for all candidates, and can do so before there are any.

    Candidates of one request may come in several calls of `score`, at once or one after another, all with the
    same `request` object.
    """

    async def prefill(self, request: Request) -> None:
        """Compute what all candidates share. Raises what `score` raises."""

    def truncated(self, request: Request) -> bool:
        """Whether documents lost tokens when this very object was last rendered; False when it never was."""
