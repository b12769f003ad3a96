"""Rows of questions with documents and right answers."""

from collections.abc import Mapping
from typing import Any

from laserve.lab.data.cases import BARE, TIMEOUT_S, Case, Place, text, texts
from laserve.lab.data.questions import of_row
from laserve.types import Request

COLUMNS = ("question", "documents", "answers")
EXPECTED = "question, documents [{title, text}] and answers"


def read(row: Mapping[str, Any], place: Place) -> Case:
    """The case of one row; quality is token F1, and questions on the same documents are of one source.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the row has another form.
    """
    question = of_row(row, place.row)
    return Case(
        id=question.id,
        file=place.file,
        task=question.task or place.file,
        source=question.source,
        request=Request(
            question=text(question.question, "question"),
            documents=question.documents,
            sampling=BARE,
            timeout_s=TIMEOUT_S,
        ),
        metric="f1",
        references=texts(row["answers"], "answers"),
        gold=question.gold,
    )
