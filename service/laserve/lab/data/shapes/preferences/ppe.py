"""Preference Proxy Evaluations (PPE): people's preferences, and best-of-K sets of right and wrong answers."""

from laserve.lab.data.row import CORRECTNESS, Answer, Row
from laserve.lab.data.shapes.base import BadRecord, Location, Shape, Values
from laserve.lab.data.shapes.columns import flag, name, truth
from laserve.lab.data.shapes.preferences.answers import compared, has, pair, two_names, winner
from laserve.lab.data.shapes.requests import id_of, items, make_row

#: True-or-false columns of the domains of people's preferences; a prompt may belong to several.
_DOMAINS = ("hard_prompt", "easy_prompt", "if_prompt", "is_code", "math_prompt")


def read_preference(values: Values, location: Location) -> Row:
    """The row of a vote on ``response_1``, of ``model_a``, and ``response_2``, of ``model_b``.

    The true-or-false columns ``hard_prompt``, ``easy_prompt``, ``if_prompt``, ``is_code`` and ``math_prompt``
    are its domains. Prompt and responses are texts, or messages, also as JSON texts.

    Raises:
        BadRecord: a column has another form.
        Unusable: the answers are equal, or conversations differ before them, or a message cannot be held.
    """
    request, answers = compared(values, ["response_1", "response_2"])
    return pair(
        values,
        location,
        request=request,
        texts=answers,
        qualities=winner(values),
        models=two_names(values, "model_a", "model_b"),
        domains=tuple(domain for domain in _DOMAINS if flag(values, domain)),
    )


def read_best_of(values: Values, location: Location) -> Row:
    """The row of ``response_1`` to ``response_K``, of ``model_name``, that ``scores`` call right or wrong.

    The domain is ``domain``, by default the file's name. Questions repeat from model to model, so that the
    model is part of the id.

    Raises:
        BadRecord: a column has another form, or the responses and scores differ in number.
        Unusable: conversations differ before the answers, or a message cannot be held.
    """
    scores = [truth({path: score}, path) for path, score in items(values, "scores")]
    if len(scores) < 2:
        raise BadRecord("scores", f"must be those of two responses or more, holds {len(scores)}")
    if has(values, more := f"response_{len(scores) + 1}"):
        raise BadRecord("scores", f"must have an entry for each response: {more} has none")
    request, answers = compared(values, [f"response_{index + 1}" for index in range(len(scores))])
    model = name(values, "model_name")
    return make_row(
        {**values, "id": " ".join(part for part in (id_of(values, location), model) if part)},
        location,
        request=request,
        source=request.query,
        metric=CORRECTNESS,
        domains=(name(values, "domain") or location.file,),
        answers=tuple(
            Answer(text=answer, quality=float(right), model=model)
            for answer, right in zip(answers, scores, strict=True)
        ),
    )


PREFERENCE = Shape(
    name="PPE human preferences",
    expected="prompt, response_1, response_2 and winner",
    matches=lambda values: values.keys() >= {"response_1", "response_2", "winner"},
    read=read_preference,
)
BEST_OF = Shape(
    name="PPE best of K",
    expected="prompt, response_1 to response_K, and scores, one a response",
    matches=lambda values: values.keys() >= {"response_1", "scores"},
    read=read_best_of,
)
