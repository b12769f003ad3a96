"""Other published sets: WebGPT comparisons, SHP, PKU-SafeRLHF and Nectar."""

import re

from laserve.lab.data.row import REWARD, Answer, Row
from laserve.lab.data.shapes.base import Location, Shape, Unusable, Values
from laserve.lab.data.shapes.columns import decoded, name, number, required, text, truth
from laserve.lab.data.shapes.preferences.answers import FIRST, SECOND, TIE, pair, prompt_of, user
from laserve.lab.data.shapes.requests import make_row, nested, objects

#: End of the name of a forum in SHP.
_SPLIT = re.compile(r"_(train|validation|test)\Z")


def read_web_gpt(values: Values, location: Location) -> Row:
    """The row of ``answer_0`` and ``answer_1``; the better one has a ``score_0`` or ``score_1`` above 0.

    The request is ``full_text`` of ``question``, and ``dataset`` of it is the domain.

    Raises:
        BadRecord: a column has another form.
        Unusable: the answers are equal.
    """
    question = nested(required(values, "question"), "question")
    score = number(values, "score_0", low=-1, high=1)
    domain = name(question, "question.dataset")
    return pair(
        values,
        location,
        request=user(text(question, "question.full_text")),
        texts=[text(values, "answer_0"), text(values, "answer_1")],
        qualities=FIRST if score > 0 else SECOND if score < 0 else TIE,
        domains=(domain,) if domain else (),
    )


def read_shp(values: Values, location: Location) -> Row:
    """The row of two comments on a post, ``history``; ``labels`` is 1 if the first is better, else 0.

    The post is the source, and the forum, ``domain`` without its split, the domain.

    Raises:
        BadRecord: a column has another form.
        Unusable: the answers are equal.
    """
    domain = name(values, "domain")
    return pair(
        values,
        location,
        request=user(text(values, "history")),
        texts=[text(values, "human_ref_A"), text(values, "human_ref_B")],
        qualities=FIRST if truth(values, "labels") else SECOND,
        domains=(_SPLIT.sub("", domain),) if domain else (),
        source=name(values, "post_id"),
    )


def read_safe(values: Values, location: Location) -> Row:
    """The row of ``response_0`` and ``response_1``; ``better_response_id`` is the more helpful one.

    Raises:
        BadRecord: a column has another form.
        Unusable: the answers are equal.
    """
    return pair(
        values,
        location,
        request=prompt_of(values),
        texts=[text(values, "response_0"), text(values, "response_1")],
        qualities=SECOND if truth(values, "better_response_id") else FIRST,
    )


def read_ranked(values: Values, location: Location) -> Row:
    """The row of ``answers`` with ranks; the quality falls evenly from 1 for rank 1 to 0 for the last rank.

    Raises:
        BadRecord: a column has another form.
        Unusable: there are fewer than two answers.
    """
    answers = objects(values, "answers")
    if len(answers) < 2:
        raise Unusable("fewer than two answers")
    ranks = [number(one, f"{path}.rank", low=1, high=len(answers)) for path, one in answers]
    request = prompt_of(values)
    return make_row(
        values,
        location,
        request=request,
        source=request.query,
        metric=REWARD,
        answers=tuple(
            Answer(
                text=text(one, f"{path}.answer"),
                quality=(len(answers) - rank) / (len(answers) - 1),
                model=name(one, f"{path}.model"),
            )
            for (path, one), rank in zip(answers, ranks, strict=True)
        ),
    )


def _is_ranked(values: Values) -> bool:
    answers = decoded(values.get("answers"))
    first = answers[0] if isinstance(answers, list) and answers else None
    return "prompt" in values and isinstance(first, dict) and first.keys() >= {"answer", "rank"}


WEB_GPT = Shape(
    name="WebGPT comparisons",
    expected="question {full_text}, answer_0, answer_1, score_0 and score_1, -1..1",
    matches=lambda values: values.keys() >= {"question", "answer_0", "answer_1", "score_0"},
    read=read_web_gpt,
)
SHP = Shape(
    name="SHP",
    expected="history, human_ref_A, human_ref_B and labels, 1 or 0",
    matches=lambda values: values.keys() >= {"history", "human_ref_A", "human_ref_B", "labels"},
    read=read_shp,
)
SAFE = Shape(
    name="PKU-SafeRLHF",
    expected="prompt, response_0, response_1 and better_response_id, 0 or 1",
    matches=lambda values: values.keys() >= {"prompt", "response_0", "response_1", "better_response_id"},
    read=read_safe,
)
RANKED = Shape(
    name="Nectar",
    expected="prompt and answers, each with answer and rank",
    matches=_is_ranked,
    read=read_ranked,
)
