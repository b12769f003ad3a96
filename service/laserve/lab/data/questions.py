"""Questions with documents and right answers, built in or from JSON lines."""

import gzip
import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from laserve.errors import InvalidRequest
from laserve.types import Document


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question of a set."""

    id: str
    task: str | None
    question: str
    documents: tuple[Document, ...]
    #: Right answers; each one alone is right.
    answers: tuple[str, ...]
    #: Index of the document that holds the answer, if the set says so.
    gold: int | None = None

    def cut(self, documents: int) -> "Question":
        """The question with its first documents; the document that holds the answer is kept."""
        keep = list(range(min(documents, len(self.documents))))
        if self.gold is not None and self.gold >= documents:
            keep[-1] = self.gold
        gold = keep.index(self.gold) if self.gold is not None else None
        return replace(self, documents=tuple(self.documents[index] for index in keep), gold=gold)

    def passages(self, keep: int, *, words: int = 130) -> "Question":
        """The question with passages instead of whole documents.

        One passage holds a right answer if a document spells one out; the others and their order are drawn
        by the question's id.

        Args:
            keep: number of passages, at least 1.
            words: length of a passage.
        """
        rng = random.Random(self.id)  # noqa: S311 - reproducible passages
        cut: list[Document] = []
        gold: Document | None = None
        for document in self.documents:
            text = document.text.split()
            start = _find(text, self.answers) if gold is None else None
            if start is not None:
                first = max(start - words // 2, 0)
                gold = Document(title=document.title, text=" ".join(text[first : first + words]))
                parts = [text[:first], text[first + words :]]
            else:
                parts = [text]
            cut += [
                Document(title=document.title, text=" ".join(part[i : i + words]))
                for part in parts
                for i in range(0, len(part), words)
            ]
        rng.shuffle(cut)
        chosen = cut[:keep] if gold is None else [gold, *cut[: keep - 1]]
        rng.shuffle(chosen)
        index = None if gold is None else chosen.index(gold)
        return replace(self, documents=tuple(chosen), gold=index)

    @property
    def source(self) -> str:
        """Short name of the documents, equal for questions on equal documents."""
        digest = hashlib.sha256("\n".join(document.text for document in self.documents).encode())
        return digest.hexdigest()[:16]


def _find(text: Sequence[str], answers: Sequence[str]) -> int | None:
    """Index of the first word of an answer in the text, or None."""
    whole = " ".join(text)
    for answer in answers:
        wanted = " ".join(answer.split())
        if wanted and (offset := whole.find(wanted)) >= 0:
            return len(whole[:offset].split())
    return None


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Objects of a JSON-lines file, ``.gz`` or plain, with their line numbers.

    Raises:
        InvalidRequest: a line is not a JSON object.
    """
    with (
        gzip.open(path, "rt", encoding="utf-8")
        if path.suffix == ".gz"
        else path.open(encoding="utf-8") as lines
    ):
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InvalidRequest(f"{path}:{number}: is not JSON: {error}") from error
            if not isinstance(row, dict):
                raise InvalidRequest(f"{path}:{number}: is not a JSON object")
            yield number, row


def read(path: Path) -> list[Question]:
    """Questions from rows with ``question``, ``documents`` [{title, text}] and ``answers``.

    Raises:
        InvalidRequest: a row lacks a column, or a column has another form.
    """
    questions = []
    for number, row in json_lines(path):
        try:
            questions.append(from_row(row, str(number)))
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidRequest(
                f"{path}:{number}: needs question, documents [{{title, text}}] and answers: {error!r}"
            ) from error
    return questions


def from_row(row: Mapping[str, Any], fallback_id: str) -> Question:
    """The question of one row, in the form of `read`.

    Args:
        fallback_id: id of a row without ``id``.

    Raises:
        KeyError, TypeError, AttributeError: the row has another form.
    """
    return Question(
        id=str(row.get("id", fallback_id)),
        task=row.get("task"),
        question=row["question"],
        documents=tuple(
            Document(title=document.get("title", ""), text=document["text"]) for document in row["documents"]
        ),
        answers=tuple(row["answers"]),
        gold=row.get("gold_document"),
    )


def built_in() -> list[Question]:
    """The built-in questions, about fictitious towns and people."""
    content = json.loads((files("laserve.lab.data") / "demo.json").read_text(encoding="utf-8"))
    documents = {slug: Document(**document) for slug, document in content["documents"].items()}
    return [
        Question(
            id=row["id"],
            task=row["task"],
            question=row["question"],
            documents=tuple(documents[slug] for slug in row["documents"]),
            answers=tuple(row["answers"]),
        )
        for row in content["questions"]
    ]
