"""Questions with documents and right answers: the built-in ones, or JSON lines."""

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
        return replace(self, documents=tuple(self.documents[index] for index in keep), gold=gold)

    def passages(self, keep: int, *, words: int = 130) -> "Question":
        """The same question with so many passages of its documents in the place of these.

        One of them holds a right answer, where the documents spell one out; the others and their order are
        drawn by the question's id.

        Args:
            keep: passages, at least 1.
            words: of one passage.
        """
        rng = random.Random(self.id)  # noqa: S311 - the same passages each time
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
        """What rows of the same documents have in common, as a short name."""
        digest = hashlib.sha256("\n".join(document.text for document in self.documents).encode())
        return digest.hexdigest()[:16]


def _find(text: Sequence[str], answers: Sequence[str]) -> int | None:
    """Place of the first word of an answer that the words spell out."""
    whole = " ".join(text)
    for answer in answers:
        wanted = " ".join(answer.split())
        if wanted and (offset := whole.find(wanted)) >= 0:
            return len(whole[:offset].split())
    return None


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
            questions.append(from_row(row, str(number)))
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidRequest(
                f"{path}:{number}: needs question, documents [{{title, text}}] and answers: {error!r}"
            ) from error
    return questions


def from_row(row: Mapping[str, Any], fallback_id: str) -> Question:
    """The question of one row as `read` takes them.

    Args:
        place: names the row where it has no ``id``.

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
    """The questions that come with laserve, about places and people that do not exist."""
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
