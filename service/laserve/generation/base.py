"""The protocols of the generator and of its tokenizer."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from laserve.errors import EngineError
from laserve.types import Candidate, Request, Sampling

#: Requests that a generator serves well at once, unless its engine runs on a CPU; with more, each is slower.
CONCURRENCY = 256


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """A request as token ids, in the form that an engine takes."""

    #: The prompt, as token ids of the generator's own tokenizer.
    token_ids: tuple[int, ...]
    #: Sampling parameters; those that depend on the prompt's form, such as ``stop``, are resolved.
    sampling: Sampling
    #: Whether documents lost tokens to fit.
    truncated: bool = False
    #: Whether white space around a candidate is removed.
    strip: bool = False

    @property
    def tokens(self) -> int:
        return len(self.token_ids)


def check_finish(reason: str) -> str:
    """The reason itself. Raises EngineError if the engine has given the candidate up."""
    if reason in ("abort", "error"):
        raise EngineError(f"the engine ended a candidate with {reason!r}")
    return reason


class Tokenizer(Protocol):
    """The tokenizer of the generator's model: text -> token ids."""

    async def encode(self, text: str, *, literal: bool = False) -> Sequence[int]:
        """Ids of a text, without a beginning token.

        With ``literal``, special tokens spelled out in the text are read as plain characters, so that a
        document cannot forge a turn (if the engine's tokenizer has this option).
        """

    async def encode_prompt(self, text: str) -> Sequence[int]:
        """Ids of a raw prompt, as the engine itself reads it."""

    async def encode_chat(self, messages: Sequence[dict[str, str]]) -> Sequence[int]:
        """Ids of a conversation in the model's chat template, open for the assistant's turn.

        Raises:
            InvalidRequest: the model has no chat template, or the template refuses these messages.
        """


class Generator(Protocol):
    """A sampler of candidates.

    `stream` yields each candidate once, as it finishes, in any order; there are n candidates, with indices
    0..n-1. Closing the iterator early aborts the engine's work on the request.
    """

    #: Model name, for answers and logs.
    model: str
    #: Longest prompt and candidate together, in tokens; set by `start`.
    max_model_len: int
    #: Requests that the generator serves well at once; set by `start`.
    concurrency: int

    async def start(self) -> None:
        """Load the model. Raises ConfigError for errors that a setting can correct, else EngineError."""

    async def render(self, request: Request) -> Rendered:
        """Turn a request into token ids that leave room for ``max_tokens``.

        Raises:
            InvalidRequest: the request does not fit, and has no documents that could lose tokens.
        """

    def stream(self, rendered: Rendered) -> AsyncIterator[Candidate]:
        """Sample the candidates. Raises EngineError if the engine fails."""

    def check(self) -> None:
        """Raise NotReady before the first start, EngineError with ``retry_after`` while no engine serves."""

    def retire(self) -> None:
        """Replace no engine from now on, as the service is stopping; requests under way continue."""

    async def close(self) -> None: ...
