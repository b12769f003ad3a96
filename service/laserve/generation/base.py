"""The generator's protocol."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from laserve.errors import EngineError
from laserve.types import Candidate, Request, Sampling


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """A request in the form that an engine takes."""

    #: Prompt, as token ids of the generator's own tokenizer.
    token_ids: tuple[int, ...]
    #: Sampling with everything resolved that depends on the prompt's form, such as ``stop``.
    sampling: Sampling
    #: Whether documents lost tokens to fit.
    truncated: bool = False
    #: Whether white space around a candidate carries no meaning here.
    strip: bool = False

    @property
    def tokens(self) -> int:
        return len(self.token_ids)


def check_finish(reason: str) -> str:
    """The reason itself; raises EngineError when it says that the engine gave the candidate up."""
    if reason in ("abort", "error"):
        raise EngineError(f"the engine ended a candidate with {reason!r}")
    return reason


class Tokenizer(Protocol):
    """Text <-> ids of the generator's model."""

    async def encode(self, text: str, *, literal: bool = False) -> Sequence[int]:
        """Ids of a text, without a beginning token.

        With ``literal``, special tokens spelled out in the text are read as plain characters, so that a
        document cannot forge a turn (where the engine's tokenizer allows to say so).
        """

    async def encode_prompt(self, text: str) -> Sequence[int]:
        """Ids of a raw prompt as the engine itself would read it."""

    async def encode_chat(self, messages: Sequence[dict[str, str]]) -> Sequence[int]:
        """Ids of a conversation in the model's chat template, open for the assistant's turn.

        Raises:
            InvalidRequest: the model has no chat template, or it refuses these messages.
        """


class Generator(Protocol):
    """Samples candidates.

    `stream` yields each candidate once, as it finishes, in any order; the candidates are n in number and
    carry the indices 0..n-1. Closing the iterator early aborts the engine's work on the request.
    """

    #: Model name, for answers and logs.
    model: str
    #: Longest prompt and candidate together, in tokens; known once started.
    max_model_len: int
    #: Requests that it serves well at once; known once started.
    concurrency: int

    async def start(self) -> None:
        """Load. Raises ConfigError for what a setting can mend, EngineError otherwise."""

    async def render(self, request: Request) -> Rendered:
        """Turn a request into token ids that leave room for ``max_tokens``.

        Raises:
            InvalidRequest: it does not fit, and has no documents that could lose tokens.
        """

    def stream(self, rendered: Rendered) -> AsyncIterator[Candidate]:
        """Sample. Raises EngineError when the engine fails."""

    def check(self) -> None:
        """Raise EngineError, with ``retry_after``, while no engine serves; NotReady before the first does."""

    def retire(self) -> None:
        """The service is stopping: replace no engine any more. Requests under way go on."""

    async def close(self) -> None: ...
