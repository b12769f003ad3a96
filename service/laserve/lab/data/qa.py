"""Reader of rows that hold a question, documents and right answers."""

from collections.abc import Mapping
from typing import Any

from laserve.lab.data.cases import BARE, TIMEOUT_S, Case, Location, text, texts
from laserve.lab.data.questions import from_row
from laserve.types import Request

COLUMNS = ("question", "documents", "answers")
EXPECTED = "question, documents [{title, text}] and answers"


def read(row: Mapping[str, Any], location: Location) -> Case:
    """The case of one row; quality is token F1, and questions on equal documents have one source.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the row has another form.
    """
    question = from_row(row, location.row)
    return Case(
        id=question.id,
        file=location.file,
        task=question.task or location.file,
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
