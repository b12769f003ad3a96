"""Questions with right answers in laserve's form, and requests without answers."""

import math
from collections.abc import Mapping
from dataclasses import replace

from laserve.lab.data.row import Row
from laserve.lab.data.shapes.base import BadRecord, LeftOut, Place, Shape, Values
from laserve.lab.data.shapes.columns import decoded, kind, plain
from laserve.lab.data.shapes.requests import make_row, request_of

NO_ANSWERS = LeftOut(reason="no right answers")
#: Columns of answers of known quality: a record with one of them is no request without answers.
_OF_ANSWERS = ("chosen", "rejected", "responses", "correct", "candidates", "rewards")


def read_question(values: Values, place: Place) -> Row | LeftOut:
    """The row of a question with right answers; the metric is token F1 against the closest one.

    The columns are ``question``; optionally ``documents``, or one document as the text ``context``;
    ``answers`` or ``answer``; and optionally ``id``, ``task``, ``source`` and ``gold_document``, the index of
    the document that holds the answer. Questions on equal documents have one source.

    Raises:
        BadRecord: a column has another form.
    """
    request = request_of(values)
    references = right_answers(values)
    if not references:
        return NO_ANSWERS
    return make_row(
        values,
        place,
        request=request,
        references=references,
        gold=_gold(values, len(request.documents)),
    )


def right_answers(values: Values) -> tuple[str, ...]:
    """The right answers in ``answers`` or ``answer``, as of `answers_in`. Raises BadRecord."""
    column = "answers" if values.get("answers") is not None else "answer"
    return answers_in(values.get(column), column)


def answers_in(value: object, path: str) -> tuple[str, ...]:
    """Right answers without repetitions; there may be none.

    A list holds several answers; a text or a number is one. A text that is itself a JSON list is a list only
    if it holds texts, since ``[0, 1]`` may be an interval.

    Raises:
        BadRecord: an answer is neither a text nor a number.
    """
    listed = decoded(value)
    if isinstance(listed, list) and all(isinstance(one, str) for one in listed):
        value = listed
    if isinstance(value, list | tuple):
        given: Mapping[str, object] = {f"{path}[{index}]": one for index, one in enumerate(value)}
    else:
        given = {} if value is None else {path: value}
    answers = [_answer(one, at) for at, one in given.items()]
    return tuple(dict.fromkeys(answer for answer in answers if answer.strip()))


def _answer(value: object, path: str) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value) if value.is_integer() else value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadRecord(path, f"must be a text or a number, is {kind(value)}")
    return str(value)


def _gold(values: Values, documents: int) -> int | None:
    value = plain(values.get("gold_document"))
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value not in range(documents):
        raise BadRecord("gold_document", f"must be the index of one of the {documents} documents")
    return int(value)


def read_plain(values: Values, place: Place) -> Row:
    """The row of a request without answers; an assistant's turns at the end of its messages are left out.

    Raises:
        BadRecord: the request has another form.
        Unusable: as of `request_of`.
    """
    request = request_of(values)
    turns = list(request.messages)
    while len(turns) > 1 and turns[-1].role == "assistant":
        turns.pop()
    return make_row(values, place, request=replace(request, messages=tuple(turns)))


def _is_plain(values: Values) -> bool:
    return any(values.get(column) is not None for column in ("question", "messages", "prompt")) and not any(
        column in values for column in _OF_ANSWERS
    )


QUESTION = Shape(
    name="questions with right answers",
    expected="question, answers, and optionally documents [{title, text}]",
    matches=lambda values: values.get("question") is not None and ("answers" in values or "answer" in values),
    read=read_question,
)
PLAIN = Shape(
    name="requests without answers",
    expected="prompt, messages or question",
    matches=_is_plain,
    read=read_plain,
)
