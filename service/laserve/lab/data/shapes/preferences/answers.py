"""Parts of preferences that most of their shapes share."""

import math
from collections.abc import Sequence

from laserve.lab.data.row import PREFERENCE, Answer, Row
from laserve.lab.data.shapes.base import BadRecord, Location, Unusable, Values
from laserve.lab.data.shapes.columns import name, number, required, text
from laserve.lab.data.shapes.conversations import Turns, common, messages_in, request_turns, turns_of
from laserve.lab.data.shapes.requests import make_request, make_row, prompt_request
from laserve.types import Message, Request

EQUAL = "both answers are equal"
NO_BETTER = "no answer is better than another"
#: Columns of most pairs.
BOTH = ("chosen", "rejected")
#: Columns of the request of laserve's own records.
REQUEST = ("question", "messages", "prompt")
#: Qualities of two answers: the first is better, the second is, or neither is.
FIRST, SECOND, TIE = (1.0, 0.0), (0.0, 1.0), (0.5, 0.5)
#: Columns of the scores of a chosen and a rejected answer, which must agree with the choice.
_SCORES = (
    ("score_chosen", "score_rejected"),
    ("chosen_score", "rejected_score"),
    ("chosen-rating", "rejected-rating"),
    ("chosen_rating", "rejected_rating"),
    ("rating_chosen", "rating_rejected"),
    ("chosen_avg_rating", "rejected_avg_rating"),
)
#: Verdict on a pair in the sets of Chatbot Arena -> qualities of its answers.
WINNERS = {
    "model_a": FIRST,
    "model_b": SECOND,
    "tie": TIE,
    "tie (bothbad)": TIE,
    "both_bad": TIE,
}


def has(values: Values, *columns: str) -> bool:
    """Whether each column is there and not null."""
    return all(values.get(column) is not None for column in columns)


def user(text: str) -> Request:
    """The request of one user's turn."""
    return make_request(messages=[Message(role="user", content=text)])


def with_system(values: Values, request: Request) -> Request:
    """The request with the optional text ``system`` as its first message, unless it has one.

    Raises:
        BadRecord: the system's message has another form.
    """
    system = name(values, "system")
    turns = turns_in(request)
    if system is None or request.documents or turns[0].role == "system":
        return request
    return make_request(messages=[Message(role="system", content=system), *turns])


def turns_in(request: Request) -> Turns:
    """Turns of a request, of which the documents are left out."""
    return request.messages or (Message(role="user", content=request.query),)


def pair(
    values: Values,
    location: Location,
    *,
    request: Request,
    texts: Sequence[str],
    qualities: tuple[float, float] = FIRST,
    models: tuple[str, ...] = (),
    domains: tuple[str, ...] = (),
    source: str | None = None,
) -> Row:
    """The row of two answers that were compared.

    Args:
        texts: the two answers.
        models: names of the models that wrote them; empty if not known.
        source: by default the request's text.

    Raises:
        BadRecord: the record's id or task has another form, or the rejected answer has the higher score.
        Unusable: the answers or their scores are equal.
    """
    for columns in _SCORES:
        _check_scores(values, *columns)
    if texts[0] == texts[1]:
        raise Unusable(EQUAL)
    return make_row(
        values,
        location,
        request=request,
        source=source or request.query,
        metric=PREFERENCE,
        domains=domains,
        answers=tuple(
            Answer(text=text, quality=quality, model=model)
            for text, quality, model in zip(texts, qualities, models or (None, None), strict=True)
        ),
    )


def compared(values: Values, columns: Sequence[str]) -> tuple[Request, tuple[str, ...]]:
    """Request and answers of columns that hold an answer each, a text, or messages that end with it.

    The request is ``prompt``, messages or a text, where the messages do not repeat it, and what the messages
    share before their last one; ``system``, a text, precedes it.

    Raises:
        BadRecord: a column has another form, or the request has no user's message.
        Unusable: the conversations differ before the answer, or do not end with an answer, or a message
            cannot be held.
    """
    if not any(messages_in(values.get(column)) for column in columns):
        return with_system(values, prompt_of(values)), tuple(text(values, column) for column in columns)
    prompt = _prompt_turns(values)
    turns, answers = common({column: _conversation(values, column, prompt) for column in columns})
    return with_system(values, make_request(messages=turns)), answers


def prompt_of(values: Values) -> Request:
    """The request of ``prompt``, messages or a text. Raises BadRecord or Unusable."""
    if messages_in(required(values, "prompt")):
        return make_request(messages=request_turns(turns_of(values, "prompt"), "prompt"))
    return prompt_request(text(values, "prompt"))


def _prompt_turns(values: Values) -> Turns:
    """Turns of an optional ``prompt``, a system's alone too. Raises BadRecord or Unusable."""
    if values.get("prompt") in (None, "", []):
        return ()
    if messages_in(values["prompt"]):
        return turns_of(values, "prompt")
    return turns_in(prompt_request(text(values, "prompt")))


def _conversation(values: Values, column: str, prompt: Turns) -> Turns:
    """The conversation of a prompt and of a text, or of messages that follow it, or repeat it or its end."""
    if prompt and isinstance(values.get(column), str) and not messages_in(values[column]):
        return (*prompt, Message(role="assistant", content=values[column]))
    turns = turns_of(values, column)
    *before, last = turns
    if not before or list(prompt[-len(before) :]) == before:
        return (*prompt, last)
    if not prompt or turns[: len(prompt)] == prompt:
        return turns
    return (*prompt, *turns) if before[0].role == "assistant" or prompt[-1].role != "user" else turns


def winner(values: Values) -> tuple[float, float]:
    """Qualities of two answers by the column ``winner``. Raises BadRecord."""
    verdict = text(values, "winner")
    if verdict not in WINNERS:
        raise BadRecord("winner", f"must be one of {', '.join(WINNERS)}, is {verdict[:40]!r}")
    return WINNERS[verdict]


def by_strength(values: Values, column: str) -> tuple[float, float]:
    """Qualities of two answers by a strength from -3, the first is much better, to 3. Raises BadRecord."""
    strength = number(values, column, low=-3, high=3)
    return FIRST if strength < 0 else SECOND if strength > 0 else TIE


def two_names(values: Values, first: str, second: str) -> tuple[str, ...]:
    """Two optional names, which come together; empty without. Raises BadRecord."""
    names = name(values, first), name(values, second)
    if names[0] is not None and names[1] is not None:
        return names[0], names[1]
    if names[0] is not None or names[1] is not None:
        missing, given = (first, second) if names[0] is None else (second, first)
        raise BadRecord(missing, f"is missing, but {given} is there: the two come together")
    return ()


def _check_scores(values: Values, chosen: str, rejected: str) -> None:
    """Check of the optional scores of two answers.

    Raises:
        BadRecord: a score has another form, or that of the rejected answer is the higher one.
        Unusable: the scores are equal.
    """
    if not has(values, chosen, rejected):
        return
    better, worse = (number(values, column, low=-math.inf, high=math.inf) for column in (chosen, rejected))
    if better == worse:
        raise Unusable(NO_BETTER)
    if better < worse:
        raise BadRecord(chosen, f"must be above {rejected}, which is {worse:g}, is {better:g}")
