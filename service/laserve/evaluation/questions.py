"""Questions with documents and right answers: the built-in ones, or JSON lines."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
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
    #: Right answers; any of them will do.
    answers: tuple[str, ...]
    #: Place of the document that holds the answer, where the set tells.
    gold: int | None = None

    def cut(self, documents: int) -> "Question":
        """The same question with its first documents; the one that holds the answer stays among them."""
        keep = list(range(min(documents, len(self.documents))))
        if self.gold is not None and self.gold >= documents:
            keep[-1] = self.gold
        gold = keep.index(self.gold) if self.gold is not None else None
        return Question(
            id=self.id,
            task=self.task,
            question=self.question,
            documents=tuple(self.documents[place] for place in keep),
            answers=self.answers,
            gold=gold,
        )


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Objects of a JSON-lines file, ``.gz`` or plain, with their line numbers.

    Raises:
        InvalidRequest: a line is no JSON object.
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
                raise InvalidRequest(f"{path}:{number}: is no JSON object")
            yield number, row


def read(path: Path) -> list[Question]:
    """Rows with ``question``, ``documents`` [{title, text}] and ``answers``.

    Raises:
        InvalidRequest: a row lacks one of them, or has one of another shape.
    """
    questions = []
    for number, row in json_lines(path):
        try:
            questions.append(
                Question(
                    id=str(row.get("id", number)),
                    task=row.get("task"),
                    question=row["question"],
                    documents=tuple(
                        Document(title=document.get("title", ""), text=document["text"])
                        for document in row["documents"]
                    ),
                    answers=tuple(row["answers"]),
                    gold=row.get("gold_document"),
                )
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidRequest(
                f"{path}:{number}: needs question, documents [{{title, text}}] and answers: {error!r}"
            ) from error
    return questions


def built_in() -> list[Question]:
    """The questions that come with laserve, about places and people that do not exist."""
    content = json.loads((files("laserve.evaluation") / "data" / "demo.json").read_text(encoding="utf-8"))
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
