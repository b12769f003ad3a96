"""Rows in short, as reward models read them: long texts are cut, and their length is said."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from laserve.lab.data.row import Answer, Row
from laserve.scoring.rendering import document_heading
from laserve.types import Document, Request

#: Most lines and most characters of a text.
Size = tuple[int, int]
_NAME: Size = (1, 80)
_TURN: Size = (8, 600)
_DOCUMENT: Size = (3, 200)
_ANSWER: Size = (6, 400)
#: Entries of a list that are shown; the others are counted.
_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class Excerpt:
    """The start of a text."""

    text: str
    #: Number of characters of the whole text.
    characters: int

    #: Whether other characters than line breaks at the end are left out.
    is_cut: bool

    @property
    def lines(self) -> list[str]:
        """The lines of the excerpt, and one that says the length of a text that is cut."""
        lines = self.text.split("\n")
        return [*lines, f".. ({self.characters:,} characters)"] if self.is_cut else lines


def excerpt(text: str, size: Size) -> Excerpt:
    """The start of a text, without line breaks at the end."""
    lines, characters = size
    head = "\n".join(text[:characters].split("\n")[:lines]).rstrip("\n")
    return Excerpt(text=head, characters=len(text), is_cut=bool(text[len(head) :].strip("\n")))


def turns_of(request: Request) -> list[tuple[str, str]]:
    """Roles and texts of a request's turns; its documents precede the last one."""
    if request.messages:
        return [(message.role, message.content) for message in request.messages]
    return [("user", request.query)]


def lines_of(row: Row) -> Iterator[tuple[str, str]]:
    """Labels and lines of a row; the label is empty where a line goes on with the one before."""
    yield from _facts(row).items()
    *before, (role, last) = turns_of(row.request)
    for turn_role, text in before:
        yield from _labelled(turn_role, excerpt(text, _TURN).lines)
    yield from _labelled(role, [*_documents(row.request.documents), *_question(row.request, last)])
    for number, answer in enumerate(row.answers[:_SHOWN], start=1):
        yield from _labelled(f"answer {number}", [_of_answer(answer), *excerpt(answer.text, _ANSWER).lines])
    yield from _more(row.answers, "answers")
    for reference in row.references[:_SHOWN]:
        yield from _labelled("right answer", excerpt(reference, _ANSWER).lines)
    yield from _more(row.references, "right answers")


def _facts(row: Row) -> dict[str, str]:
    """What a row is, apart from its texts."""
    given = {
        "id": row.id,
        "source": row.source,
        "task": row.task or "",
        "domains": ", ".join(row.domains),
        "metric": row.metric if row.answers or row.references else "",
        "classes": ", ".join(row.classes),
    }
    return {label: " ".join(excerpt(text, _NAME).lines) for label, text in given.items() if text}


def _labelled(label: str, lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    for index, line in enumerate(lines):
        yield ("" if index else label), line


def _more(entries: Sequence[object], name: str) -> Iterator[tuple[str, str]]:
    if len(entries) > _SHOWN:
        yield "", f".. and {len(entries) - _SHOWN} more {name}"


def _documents(documents: Sequence[Document]) -> Iterator[str]:
    """Lines of the documents, each under its heading with its number of characters."""
    for number, document in enumerate(documents[:_SHOWN], start=1):
        titled = Document(text="", title=excerpt(document.title, _NAME).text)
        yield f"{document_heading(number, titled).strip()} - {len(document.text):,} characters"
        yield from excerpt(document.text, _DOCUMENT).text.split("\n")
    yield from (line for _, line in _more(documents, "documents"))


def _question(request: Request, text: str) -> list[str]:
    lines = excerpt(text, _TURN).lines
    return [f"Question: {lines[0]}", *lines[1:]] if request.documents else lines


def _of_answer(answer: Answer) -> str:
    """Quality, log-probability and model of an answer."""
    parts = [f"quality {answer.quality:g}"]
    if answer.logprob is not None:
        parts.append(f"log-probability {answer.logprob:g}")
    if answer.model:
        parts.append(f"by {excerpt(answer.model, _NAME).text}")
    return f"[{', '.join(parts)}]"


def json_of(row: Row) -> dict[str, Any]:
    """The row as JSON values; each text is an object with its start and its number of characters."""
    return {
        "id": row.id,
        "position": row.position,
        "source": excerpt(row.source, _NAME).text,
        "task": row.task,
        "domains": list(row.domains),
        "metric": row.metric,
        "turns": [{"role": role} | _cut(text, _TURN) for role, text in turns_of(row.request)],
        "documents": [{"title": one.title} | _cut(one.text, _DOCUMENT) for one in row.request.documents],
        "answers": [
            {"quality": one.quality, "model": one.model, "logprob": one.logprob} | _cut(one.text, _ANSWER)
            for one in row.answers
        ],
        "references": [_cut(reference, _ANSWER) for reference in row.references],
        "classes": list(row.classes),
    }


def _cut(text: str, size: Size) -> dict[str, Any]:
    one = excerpt(text, size)
    return {"text": one.text, "characters": one.characters}
