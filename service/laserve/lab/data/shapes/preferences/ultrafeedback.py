"""UltraFeedback: as published, and as pairs by Hugging Face H4 and by Argilla."""

from laserve.lab.data.row import REWARD, Answer, Row
from laserve.lab.data.shapes.base import Location, Shape, Unusable, Values
from laserve.lab.data.shapes.columns import name, number, optional, text
from laserve.lab.data.shapes.conversations import messages_in
from laserve.lab.data.shapes.preferences.answers import (
    BOTH,
    compared,
    has,
    pair,
    two_names,
    user,
)
from laserve.lab.data.shapes.requests import make_row, objects

#: Column of a completion's rating -> lowest and highest rating.
_FINE, _OVERALL = "fine-grained_score", "overall_score"
_BOUNDS = {_FINE: (1.0, 5.0), _OVERALL: (1.0, 10.0)}


def read_rated(values: Values, location: Location) -> Row:
    """The row of an ``instruction`` and its rated ``completions``; its domain is ``source``, a data set.

    The quality is the mean rating of four aspects, ``fine-grained_score``, 1..5, mapped to 0..1. If one
    completion lacks it, the quality of all is ``overall_score``, 1..10, mapped likewise, which is worse: in
    the first edition of the set, many completions of overall score 10 were meant to have 1.

    Raises:
        BadRecord: a column has another form, or a completion has no rating.
        Unusable: there are no completions.
    """
    completions = objects(values, "completions")
    if not completions:
        raise Unusable("no answers")
    rated = all(one.get(f"{path}.{_FINE}") is not None for path, one in completions)
    request = user(text(values, "instruction"))
    return make_row(
        values,
        location,
        request=request,
        source=request.query,
        metric=REWARD,
        domains=optional(values, "source"),
        answers=tuple(_answer(one, path, _FINE if rated else _OVERALL) for path, one in completions),
    )


def _answer(completion: Values, path: str, rating: str) -> Answer:
    low, high = _BOUNDS[rating]
    return Answer(
        text=text(completion, f"{path}.response"),
        quality=(number(completion, f"{path}.{rating}", low=low, high=high) - low) / (high - low),
        model=name(completion, f"{path}.model"),
    )


def read_binarized(values: Values, location: Location) -> Row:
    """The row of Hugging Face H4's pairs, whose ``messages`` repeat the chosen conversation.

    Raises:
        BadRecord: a column has another form, or ``score_rejected`` is above ``score_chosen``.
        Unusable: the scores or the answers are equal, or the conversations differ before the answer.
    """
    request, answers = compared(values, BOTH)
    return pair(values, location, request=request, texts=answers)


def read_argilla(values: Values, location: Location) -> Row:
    """The row of Argilla's pairs, of ``chosen`` and ``rejected`` or of ``chosen_response`` and its like.

    The request is ``instruction`` or ``prompt``, a user's turn; ``source``, a data set, is the domain.

    Raises:
        BadRecord: a column has another form, or the rejected answer's rating is above the other's.
        Unusable: the ratings or the answers are equal, or the conversations differ before the answer.
    """
    prompt = text(values, "instruction" if has(values, "instruction") else "prompt")
    turns = [{"role": "user", "content": prompt}]
    columns = ("chosen_response", "rejected_response") if "chosen_response" in values else BOTH
    request, answers = compared({**values, "prompt": turns}, columns)
    return pair(
        values,
        location,
        request=request,
        texts=answers,
        models=_models(values),
        domains=optional(values, "source"),
    )


def _models(values: Values) -> tuple[str, ...]:
    """Names of both models; none where one is missing, as in the first edition."""
    columns = [f"{column}-model" for column in BOTH]
    return two_names(values, *columns) if has(values, *columns) else ()


def _is_argilla(values: Values) -> bool:
    return any(
        values.keys() >= columns
        for columns in ({"instruction", "chosen_response", "rejected_response"}, {"chosen", "chosen-rating"})
    )


RATED = Shape(
    name="UltraFeedback",
    expected="instruction and completions, each with response and fine-grained_score or overall_score",
    matches=lambda values: has(values, "instruction", "completions"),
    read=read_rated,
)
BINARIZED = Shape(
    name="UltraFeedback binarized",
    expected="chosen and rejected, lists of messages, score_chosen and score_rejected",
    matches=lambda values: "score_chosen" in values and messages_in(values.get("chosen")) is not None,
    read=read_binarized,
)
ARGILLA = Shape(
    name="UltraFeedback by Argilla",
    expected="instruction or prompt, chosen and rejected, chosen-rating and rejected-rating",
    matches=_is_argilla,
    read=read_argilla,
)
