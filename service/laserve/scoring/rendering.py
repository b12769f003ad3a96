"""The input of a reward model: the request in the model's chat template, with a candidate as the last turn.

All candidates of a request share its token ids, so that the prompt is computed once. Texts of users are read
as plain characters: a document that spells out a special token cannot forge a turn.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from laserve.errors import InvalidRequest, Unscorable
from laserve.models.tokenizer import shares
from laserve.types import Document, Request


class RewardTokenizer(Protocol):
    """The tokenizer of a reward model: text -> token ids."""

    async def encode(self, text: str, *, literal: bool = False) -> Sequence[int]:
        """Ids of a text alone; with ``literal``, special tokens in the text are plain characters."""

    async def frame(self, roles: Sequence[str]) -> Sequence[Sequence[int]]:
        """Ids that the chat template puts before, between and behind the contents of these turns."""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """The ids before a candidate, and the ids behind it."""

    ids: tuple[int, ...]
    #: Ids that close the candidate's turn.
    close: tuple[int, ...]
    #: Longest candidate, in tokens.
    room: int
    #: Whether documents lost tokens to fit.
    truncated: bool


async def render_prompt(request: Request, tokenizer: RewardTokenizer, max_model_len: int) -> Prompt:
    """Render a request; if it is too long, its documents lose tokens, question and candidate never.

    Args:
        max_model_len: length of the longest text that the model reads, in tokens.

    Raises:
        Unscorable: the request is too long and has no documents that could lose tokens, or the model's chat
            template refuses its turns.
    """
    turns = [(message.role, message.content) for message in request.messages]
    if request.question is not None or request.prompt is not None:
        turns = [("user", request.question if request.question is not None else request.prompt or "")]
    try:
        *before, after = await tokenizer.frame([*(role for role, _ in turns), "assistant"])
    except InvalidRequest as error:
        raise Unscorable(error.message) from error
    # The reward model's tokens may be shorter than the generator's.
    reserve = min(request.sampling.max_tokens * 3 // 2 + 16, max_model_len // 2)
    room = max_model_len - reserve - len(after) - sum(len(piece) for piece in before)

    contents = await asyncio.gather(*(tokenizer.encode(content, literal=True) for _, content in turns))
    room -= sum(len(content) for content in contents)
    documents, truncated = await _documents(request.documents, tokenizer, room)
    if documents is None:
        raise Unscorable(f"the request is too long for this reward model, which reads {max_model_len} tokens")
    ids: list[int] = []
    for turn, (piece, content) in enumerate(zip(before, contents, strict=False)):
        ids += [*piece, *(documents if turn == len(contents) - 1 else ()), *content]
    ids += before[-1]
    room = max_model_len - len(ids) - len(after)
    return Prompt(ids=tuple(ids), close=tuple(after), room=room, truncated=truncated)


async def render_candidate(text: str, prompt: Prompt, tokenizer: RewardTokenizer) -> tuple[int, ...]:
    """Ids of a candidate and of the end of its turn.

    Raises:
        Unscorable: the candidate is longer than the prompt leaves room for.
    """
    ids = await tokenizer.encode(text, literal=True)
    if len(ids) > prompt.room:
        raise Unscorable(f"a candidate of {len(ids)} tokens leaves no room for the request")
    return (*ids, *prompt.close)


async def _documents(
    documents: Sequence[Document], tokenizer: RewardTokenizer, room: int
) -> tuple[list[int] | None, bool]:
    """Ids of the documents, cut to `room`, and whether they were cut; None if not even the titles fit."""
    if not documents:
        return ([] if room >= 0 else None), False
    heads = [document_heading(number, document) for number, document in enumerate(documents, start=1)]
    parts = ["\n\n", "Question: ", *heads, *(document.text for document in documents)]
    line_break, question, *encoded = await asyncio.gather(
        *(tokenizer.encode(part, literal=True) for part in parts)
    )
    titles, texts = encoded[: len(heads)], encoded[len(heads) :]
    room -= len(question) + sum(len(title) + len(line_break) for title in titles)
    if room < 0:
        return None, False
    lengths = [len(text) for text in texts]
    kept = shares(lengths, room)
    ids: list[int] = []
    for title, text, length in zip(titles, texts, kept, strict=True):
        ids += [*title, *text[:length], *line_break]
    return [*ids, *question], kept != lengths


def document_heading(number: int, document: Document) -> str:
    """The line before a document's text, with its line feed; the first document has the number 1."""
    return f"Document [{number}] (Title: {document.title})\n" if document.title else f"Document [{number}]\n"
