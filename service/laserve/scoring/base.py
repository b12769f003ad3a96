"""The protocols of reward models and of their readings of requests."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from laserve.types import Candidate, Request, Vector


class Reading(Protocol):
    """One request as one reward model reads it: the prompt, read once, and scores of candidates behind it.

    A reading serves one event loop. Calls of `prefill` and `score` may be under way at the same time, and
    each may be cancelled alone: their shared computation runs once, is cancelled when no call waits for it
    any more, and is repeated by the next call after a failure. Two readings share nothing, even of one
    request.
    """

    @property
    def truncated(self) -> bool:
        """Whether documents lost tokens to fit the model; False before the request is rendered."""

    async def prefill(self) -> None:
        """Read the prompt, before there are candidates. Raises the errors of `score`.

        `score` needs no `prefill` before it; a model that has nothing to compute returns at once.
        """

    async def score(self, candidates: Sequence[Candidate]) -> Vector:
        """Score candidates of the request; they may come in one call or in several.

        Args:
            candidates: at least one; all of the request, equal texts included, if the model `needs_all`.

        Returns:
            Shape (len(candidates),), float64; higher is better, in a unit of the model's own. A score that is
            not finite drops its candidate.

        Raises:
            Unscorable: this model cannot score the request: it is too long, or of an unknown form.
            ArmFailed: the model cannot score now.
        """

    def close(self) -> None:
        """Free what is kept of the prompt, and cancel its computation if that is under way.

        The caller cancels its own calls before, and makes none afterwards. Closing again does nothing.
        """


class RewardModel(Protocol):
    """A model that scores the candidates of requests, several requests at once, each in its own `Reading`."""

    @property
    def kind(self) -> str:
        """Name of the model's kind."""

    @property
    def free(self) -> bool:
        """Whether scoring costs nearly nothing; a free arm scores every request and learns from each."""

    @property
    def needs_all(self) -> bool:
        """Whether a score depends on the other candidates; then all are scored at once, equal texts too."""

    @property
    def reads_ahead(self) -> bool:
        """Whether the model reads a prompt once for all candidates, and can do so before there are any."""

    async def load(self) -> None:
        """Load the model. Raises ConfigError for an error that a setting can correct, ArmFailed otherwise."""

    def open(self, request: Request) -> Reading:
        """Open a reading, which computes nothing before its first call; the caller closes it.

        Args:
            request: the request, not rendered: the model renders it in its own form.
        """

    async def close(self) -> None: ...


class Scorer(Protocol):
    """A reward model whose scores depend only on request and candidates; see `RewardModel` for the rest."""

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

    All calls for one reading get one and the same `request` object.
    """

    async def prefill(self, request: Request) -> None:
        """Read the prompt. Raises the errors of `score`."""

    def truncated(self, request: Request) -> bool:
        """Whether documents lost tokens when this request object was last rendered; False if it never was."""
