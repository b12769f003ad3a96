"""The reward model's protocol."""

from collections.abc import Sequence
from typing import Protocol

from laserve.types import Candidate, Request, Vector


class Reading(Protocol):
    """What one reward model makes of one request: the prompt, read once, and scores of candidates behind it.

    A reading serves one event loop. Calls of `prefill` and `score` may be under way at the same time, and
    each may be cancelled by itself: what they share is computed once, is cancelled when no call waits for it
    any more, and is computed again by the next call after a failure. Two readings share nothing, also those
    of one request.
    """

    @property
    def truncated(self) -> bool:
        """Whether documents lost tokens to fit the model; False before the request was rendered."""

    async def prefill(self) -> None:
        """Compute what all candidates share, before there are any. Raises what `score` raises.

        `score` needs no `prefill` before it; a model that has nothing to compute returns at once.
        """

    async def score(self, candidates: Sequence[Candidate]) -> Vector:
        """Score candidates of the request; they may come in one call or in several.

        Args:
            candidates: at least one. All of the request, equal texts included, where the model `needs_all`.

        Returns:
            Shape (len(candidates),), float64; higher is better, in a unit of the model's own. A score that is
            not finite drops its candidate.

        Raises:
            Unscorable: the request is not for this model: too long, or of a form it does not know.
            ArmFailed: it cannot score now.
        """

    def close(self) -> None:
        """Free what is kept of the prompt, and cancel its computation where that is under way.

        Whoever closes cancels its own calls before, and makes none after. Closing again does nothing.
        """


class RewardModel(Protocol):
    """Scores candidates of requests, of several at once, each in a `Reading` of its own."""

    @property
    def kind(self) -> str:
        """Name of its kind."""

    @property
    def free(self) -> bool:
        """Scoring costs nothing to speak of, so it scores every request and learns from each."""

    @property
    def needs_all(self) -> bool:
        """A score depends on the other candidates, so it takes all at once, equal texts included."""

    @property
    def reads_ahead(self) -> bool:
        """It reads a prompt once for all candidates, and can do so before there are any."""

    async def load(self) -> None:
        """Make ready. Raises ConfigError for what a setting can mend, ArmFailed otherwise."""

    def open(self, request: Request) -> Reading:
        """Begin a reading, which computes nothing before it is called; whoever opens it closes it.

        Args:
            request: with question, documents and messages apart; the model renders them as it needs.
        """

    async def close(self) -> None: ...
