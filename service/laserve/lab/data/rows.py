"""Rows to learn a reward model from: preferences, right and wrong answers, or the service's own log."""

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

#: What a row holds, as errors name it.
EXPECTED = f"a request (question and documents, messages, or prompt) and answers ({answers.EXPECTED})"
#: A transcript in one text: turns of a human and an assistant by turns.
_TRANSCRIPT = re.compile(r"(?:\A|\n\n)(Human|Assistant): ?")
#: How candidates were sampled does not matter here; the room that is kept for them does.
_BARE = Request(sampling=Sampling(n=1, temperature=1.0, top_p=1.0, max_tokens=256), timeout_s=60.0)
_ROLES = {"Human": "user", "Assistant": "assistant"}


class Sourced(Protocol):
    """A row that knows where it is from."""

    @property
    def source(self) -> str: ...


S = TypeVar("S", bound=Sourced)


@dataclass(frozen=True, kw_only=True)
class Group:
    """Answers to one request, and how good each is."""

    id: str
    request: Request
    texts: tuple[str, ...]
    #: Quality of each text, in [0, 1].
    rewards: tuple[float, ...]
    #: Rows of one source, such as an article, which must not be split between training and test.
    source: str
    #: Total log-probability of each text by the model that wrote it, in nats; empty where the row has none.
    logprobs: tuple[float, ...] = ()

    @property
    def instructive(self) -> bool:
        """Whether some answer is better than another."""
        return len(set(self.rewards)) > 1


def read(path: Path, *, references: bool = False) -> list[Group]:
    """Groups of a JSON-lines file; each row holds a request and its answers.

    The request is ``question`` and ``documents``, ``messages``, or ``prompt``. The answers are ``chosen`` and
    ``rejected``; ``responses`` and ``correct``; or ``candidates`` and ``rewards``, of which those without a
    reward are left out. An optional ``source``, of the row or in its ``metadata``, names where it is from.

    Args:
        references: the first right answer that a row's ``feedback`` names is an answer as well, of quality 1.

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
    """The group of one row as `read` takes them; None where no answer has a reward.

    Args:
        place: names the row where it has no ``id``.
        given: the answers, where they are not to be read from the row.

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
    """The first right answer that a feedback names."""
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
    """The turns of a text such as ``Human: ..., Assistant: ...``; none where it is no transcript."""
    _, *parts = _TRANSCRIPT.split(prompt)
    if not prompt.startswith("Human:"):
        return ()
    turns = [
        Message(role=_ROLES[role], content=content.strip())
        for role, content in zip(parts[::2], parts[1::2], strict=True)
    ]
    if turns[-1].role == "assistant" and not turns[-1].content:  # open for the answer
        turns = turns[:-1]
    return tuple(turns)


def split(rows: Sequence[S], share: float) -> tuple[list[S], list[S]]:
    """Training and held-out rows: the last sources of the file, `share` of them, are held out.

    Args:
        share: in [0, 1).
    """
    sources = list(dict.fromkeys(row.source for row in rows))
    held = set(sources[len(sources) - round(len(sources) * share) :])
    return [row for row in rows if row.source not in held], [row for row in rows if row.source in held]


def shortened(groups: Iterable[Group], rows: int | None) -> list[Group]:
    """The first so many groups from which something can be learned."""
    instructive = [group for group in groups if group.instructive]
    return instructive[:rows]
