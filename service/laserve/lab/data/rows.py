"""Reader of training rows of a reward model: preferences, right and wrong answers, or an exported log."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from laserve.errors import InvalidRequest
from laserve.lab.data import answers
from laserve.lab.data.answers import Answers, text
from laserve.lab.data.questions import json_lines
from laserve.types import Document, Message, Request, Sampling

#: Content of a row, for error messages.
EXPECTED = f"a request (question and documents, messages, or prompt) and answers ({answers.EXPECTED})"
#: Start of a turn in a transcript of a human and an assistant.
_TRANSCRIPT = re.compile(r"(?:\A|\n\n)(Human|Assistant): ?")
#: Placeholder: sampling does not matter here, but `max_tokens` is the length reserved for answers.
_BARE = Request(sampling=Sampling(n=1, temperature=1.0, top_p=1.0, max_tokens=256), timeout_s=60.0)
_ROLES = {"Human": "user", "Assistant": "assistant"}


class Sourced(Protocol):
    """A row with a source."""

    @property
    def source(self) -> str: ...


S = TypeVar("S", bound=Sourced)


@dataclass(frozen=True, kw_only=True)
class Group:
    """Answers to one request, and their qualities."""

    id: str
    request: Request
    texts: tuple[str, ...]
    #: Quality of each text, in [0, 1].
    rewards: tuple[float, ...]
    #: Source, such as an article; rows of one source must not be split between training and test.
    source: str
    #: Total log-probability of each text by the model that wrote it, in nats; empty if the row has none.
    logprobs: tuple[float, ...] = ()

    @property
    def instructive(self) -> bool:
        """Whether some answer is better than another."""
        return len(set(self.rewards)) > 1


def read(path: Path, *, references: bool = False) -> list[Group]:
    """Groups of a JSON-lines file; each row holds a request and its answers.

    The request is ``question`` and ``documents``, ``messages``, or ``prompt``. The answers are ``chosen`` and
    ``rejected``; ``responses`` and ``correct``; or ``candidates`` and ``rewards`` (None: left
    out). An optional ``source``, in the row or in its ``metadata``, names the row's source.

    Args:
        references: whether to add the first right answer of a row's ``feedback`` as an answer of quality 1.

    Raises:
        InvalidRequest: a row has another form; the message names its line.
    """
    groups = []
    for number, row in json_lines(path):
        try:
            made = group(row, f"{path.name}:{number}", references=references)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidRequest(f"{path}:{number}: needs {EXPECTED}: {error!r}") from error
        if made is not None:
            groups.append(made)
    return groups


def group(
    row: Mapping[str, Any], fallback_id: str, *, given: Answers | None = None, references: bool = False
) -> Group | None:
    """The group of one row, in a form of `read`; None if no answer has a reward.

    Args:
        fallback_id: id of a row without ``id``.
        given: the answers, to be used instead of those of the row.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the row has another form.
    """
    if given is None:
        given = answers.read(row)
    if not given.texts:
        return None
    request = _request(row)
    source = row.get("source") or (row.get("metadata") or {}).get("source")
    source = source or "\n".join(document.text for document in request.documents) or request.query
    right = _reference(row) if references else None
    if right is not None and right not in given.texts:
        given = Answers(texts=(*given.texts, right), rewards=(*given.rewards, 1.0))
    return Group(
        id=str(row.get("id", fallback_id)),
        request=request,
        texts=given.texts,
        rewards=given.rewards,
        source=str(source),
        logprobs=given.logprobs,
    )


def _reference(row: Mapping[str, Any]) -> str | None:
    """The first right answer of the last feedback with references, or None."""
    named = [word["value"] for word in row.get("feedback") or () if word.get("kind") == "references"]
    return text(named[-1][0]) if named and named[-1] else None


def _request(row: Mapping[str, Any]) -> Request:
    if row.get("question") is not None:
        documents = tuple(
            Document(title=document.get("title") or "", text=document["text"])
            for document in row.get("documents") or ()
        )
        return replace(_BARE, question=text(row["question"]), documents=documents)
    if row.get("messages"):
        messages = tuple(
            Message(role=message["role"], content=message["content"]) for message in row["messages"]
        )
        return replace(_BARE, messages=messages)
    prompt = text(row["prompt"])
    messages = transcript(prompt)
    return replace(_BARE, messages=messages) if messages else replace(_BARE, prompt=prompt)


def transcript(prompt: str) -> tuple[Message, ...]:
    """Turns of a text such as ``Human: ..., Assistant: ...``; empty if the text is not a transcript."""
    _, *parts = _TRANSCRIPT.split(prompt)
    if not prompt.startswith("Human:"):
        return ()
    turns = [
        Message(role=_ROLES[role], content=content.strip())
        for role, content in zip(parts[::2], parts[1::2], strict=True)
    ]
    if turns[-1].role == "assistant" and not turns[-1].content:  # the turn of the answer
        turns = turns[:-1]
    return tuple(turns)


def split(rows: Sequence[S], share: float) -> tuple[list[S], list[S]]:
    """Training and held-out rows: the last sources of the rows are held out.

    Args:
        share: share of the sources that is held out, in [0, 1).
    """
    sources = list(dict.fromkeys(row.source for row in rows))
    held = set(sources[len(sources) - round(len(sources) * share) :])
    return [row for row in rows if row.source not in held], [row for row in rows if row.source in held]


def shortened(groups: Iterable[Group], rows: int | None) -> list[Group]:
    """The first `rows` groups whose answers differ in quality; all of them for None."""
    instructive = [group for group in groups if group.instructive]
    return instructive[:rows]
