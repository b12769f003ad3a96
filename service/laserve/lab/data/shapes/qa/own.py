"""Questions with right answers in laserve's form, and requests without answers."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from laserve.lab.data.row import Row
from laserve.lab.data.shapes.base import BadRecord, LeftOut, Location, Shape, Values
from laserve.lab.data.shapes.columns import decoded, kind, plain
from laserve.lab.data.shapes.conversations import messages_in
from laserve.lab.data.shapes.preferences.answers import REQUEST, has, with_system
from laserve.lab.data.shapes.requests import IDS, columns_of_request, make_row, request_of
from laserve.types import Request

NO_ANSWERS = LeftOut(reason="no right answers")
#: Columns of answers of known quality: a record with one of them is no request without answers.
_OF_ANSWERS = ("chosen", "rejected", "responses", "correct", "candidates", "rewards")

#: Columns of choices; a right answer that is the letter or the index of one says nothing without them.
_CHOICES = ("choices", "options")
#: Values that say nothing.
_EMPTY: tuple[object, ...] = (None, "", [], {})
#: Columns that each row of this module reads besides those of its request and its answers.
_READ = (*IDS, "task", "source", "metadata")


def read_question(values: Values, location: Location) -> Row | LeftOut:
    """The row of a question with right answers; the metric is token F1 against the closest one.

    The columns are ``question``; optionally ``documents``, or one document as the text ``context``;
    ``answers`` or ``answer``; and optionally ``id``, ``task``, ``source`` and ``gold_document``, the index of
    the document that holds the answer. Questions on equal documents have one source. The request may also be
    ``prompt`` or ``messages``.

    Raises:
        BadRecord: a column has another form, or the answer is one of several choices.
        Unusable: as of `request_of`.
    """
    request = _open_request(values)
    references = right_answers(values)
    if not references:
        return NO_ANSWERS
    _check_open(values, references)
    return make_row(
        values,
        location,
        request=request,
        references=references,
        gold=_gold(values, len(request.documents)),
    )


def _check_open(values: Values, references: Sequence[str]) -> None:
    """Raise BadRecord if the answer is one of several choices, in a list or in columns like ``option_a``."""
    letters = {column.lower().rpartition("_")[2]: column for column in values}
    columns = [column for column in _CHOICES if isinstance(decoded(values.get(column)), list | dict)]
    columns += [letters[one.lower()] for one in references if len(one) == 1 and one.lower() in letters]
    if columns:
        raise BadRecord(columns[0], "is not read beside such an answer: MMLU has four choices and an index")


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


def read_plain(values: Values, location: Location) -> Row:
    """The row of a request without answers; an assistant's turns at the end of its messages are left out.

    Raises:
        BadRecord: the request has another form.
        Unusable: as of `request_of`.
    """
    return make_row(values, location, request=_open_request(values))


def _open_request(values: Values) -> Request:
    """The request of a record, with its ``system`` and without an assistant's turns at its end."""
    request = request_of(values)
    turns = list(request.messages)
    while len(turns) > 1 and turns[-1].role == "assistant":
        turns.pop()
    return with_system(values, replace(request, messages=tuple(turns)))


def _is_question(values: Values) -> bool:
    if has(values, "question"):
        return "answers" in values or "answer" in values
    has_request = has(values, "messages") or has(values, "prompt")
    return has_request and (has(values, "answers") or has(values, "answer"))


def _is_plain(values: Values) -> bool:
    return any(has(values, column) for column in REQUEST) and not any(
        column in values for column in _OF_ANSWERS
    )


def _unread(values: Values, *read: str) -> Sequence[str]:
    """Columns with content that the readers of this module pass over, and an answer after the messages."""
    known = {*_READ, *columns_of_request(values), *read}
    if not has(values, "documents") and not has(values, "context"):
        known.add("system")
    passed_over = [column for column, value in values.items() if column not in known and value not in _EMPTY]
    return [*passed_over, *_ends(values)]


def _ends(values: Values) -> Iterable[str]:
    """The answer at the end of the request's messages, in words, if there is one."""
    column = columns_of_request(values)[0]
    last = (messages_in(values.get(column)) or [None])[-1]
    if isinstance(last, Mapping) and last.get("role", last.get("from")) in ("assistant", "gpt"):
        yield f"the answer at the end of {column}"


QUESTION = Shape(
    name="questions with right answers",
    expected="question and optionally documents [{title, text}], or messages or prompt, and answers",
    matches=_is_question,
    read=read_question,
    unread=lambda values: _unread(values, "answers" if has(values, "answers") else "answer", "gold_document"),
)
PLAIN = Shape(
    name="requests without answers",
    expected="prompt, messages or question",
    matches=_is_plain,
    read=read_plain,
    unread=_unread,
)
