"""Cuts of a row's documents: fewer of them, or passages of them."""

import random
from collections.abc import Sequence
from dataclasses import replace

from laserve.lab.data.row import Row
from laserve.types import Document

#: Length of a passage in words.
WORDS = 130


def cut(row: Row, *, documents: int | None = None, passages: int | None = None) -> Row:
    """The row with fewer documents, then with passages of them; itself where it has none.

    Args:
        documents: number of documents to keep, at least 1; None for all.
        passages: number of passages to keep, at least 1; None for whole documents.
    """
    if not row.request.documents:
        return row
    if documents:
        row = first_documents(row, documents)
    return in_passages(row, passages) if passages else row


def first_documents(row: Row, count: int) -> Row:
    """The row with its first documents; the document that holds the answer is kept."""
    whole = row.request.documents
    keep = list(range(min(count, len(whole))))
    if row.gold is not None and row.gold >= count:
        keep[-1] = row.gold
    gold = keep.index(row.gold) if row.gold is not None else None
    return _with(row, [whole[index] for index in keep], gold)


def in_passages(row: Row, keep: int, *, words: int = WORDS) -> Row:
    """The row with passages instead of whole documents.

    One passage holds a right answer if a document spells one out; the others and their order are drawn by the
    row's id.

    Args:
        keep: number of passages, at least 1.
        words: length of a passage.
    """
    rng = random.Random(row.id)  # noqa: S311 - reproducible passages
    passages: list[Document] = []
    gold: Document | None = None
    for document in row.request.documents:
        text = document.text.split()
        start = _start(text, row.references) if gold is None else None
        parts = [text]
        if start is not None:
            first = max(start - words // 2, 0)
            gold = Document(title=document.title, text=" ".join(text[first : first + words]))
            parts = [text[:first], text[first + words :]]
        passages += [
            Document(title=document.title, text=" ".join(part[i : i + words]))
            for part in parts
            for i in range(0, len(part), words)
        ]
    rng.shuffle(passages)
    chosen = passages[:keep] if gold is None else [gold, *passages[: keep - 1]]
    rng.shuffle(chosen)
    return _with(row, chosen, None if gold is None else chosen.index(gold))


def _with(row: Row, documents: Sequence[Document], gold: int | None) -> Row:
    return replace(row, request=replace(row.request, documents=tuple(documents)), gold=gold)


def _start(text: Sequence[str], answers: Sequence[str]) -> int | None:
    """Index of the first word of an answer in the text, or None."""
    whole = " ".join(text)
    for answer in answers:
        wanted = " ".join(answer.split())
        if wanted and (offset := whole.find(wanted)) >= 0:
            return len(whole[:offset].split())
    return None
