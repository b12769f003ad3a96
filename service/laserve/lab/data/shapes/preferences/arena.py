"""Votes of Chatbot Arena: 140k and 33k, of conversations, and 55k, of JSON lists of texts."""

from collections.abc import Mapping
from typing import Any

from laserve.lab.data.row import Row
from laserve.lab.data.shapes.base import BadRecord, Location, Shape, Unusable, Values
from laserve.lab.data.shapes.columns import decoded, flag, kind, name, truth
from laserve.lab.data.shapes.conversations import NO_ANSWER, Turns, common, turns_of
from laserve.lab.data.shapes.preferences.answers import FIRST, SECOND, TIE, pair, two_names, winner
from laserve.lab.data.shapes.requests import items, make_request
from laserve.types import Message

#: Key of a tag -> domain, named as in PPE's human preferences.
_TAGS = {"math": "math_prompt", "if": "if_prompt", "creative_writing": "creative_writing"}
#: Tags of a hard prompt, and how many of them make one by Arena's definition.
CRITERIA = (
    "complexity",
    "creativity",
    "domain_knowledge",
    "problem_solving",
    "real_world",
    "specificity",
    "technical_accuracy",
)
_HARD = 6
_SIDES = {"conversation_a": "response_a", "conversation_b": "response_b"}


def read(values: Values, location: Location) -> Row:
    """The row of a vote on two conversations, ``conversation_a`` and ``conversation_b``.

    Its domains are ``is_code``, those of ``category_tag``, and ``english`` or ``not_english``. Votes of one
    ``evaluation_session_id`` have one source.

    Raises:
        BadRecord: a column has another form.
        Unusable: the conversations differ before the answer, or a message cannot be held, or the answers are
            equal.
    """
    turns, answers = common({column: turns_of(values, column) for column in _SIDES})
    return pair(
        values,
        location,
        request=make_request(messages=turns),
        texts=answers,
        qualities=winner(values),
        models=two_names(values, "model_a", "model_b"),
        domains=domains(values),
        source=name(values, "evaluation_session_id"),
    )


def domains(values: Values) -> tuple[str, ...]:
    """Domains of a vote, by its optional tags; tags of another form say nothing."""
    groups = decoded(values.get("category_tag"))
    tags: dict[str, Any] = {}
    for group in groups.values() if isinstance(groups, Mapping) else ():
        tags |= group if isinstance(group, Mapping) else {}
    named = ["is_code"] if flag(values, "is_code") else []
    named += [domain for tag, domain in _TAGS.items() if flag(tags, tag)]
    if sum(flag(tags, tag) for tag in CRITERIA) >= _HARD:
        named.append("hard_prompt")
    language = values.get("language")
    if isinstance(language, str) and language.lower() not in ("", "unknown", "und"):
        named.append("english" if language.lower() in ("english", "en") else "not_english")
    return tuple(named)


def read_55k(values: Values, location: Location) -> Row:
    """The row of a vote whose ``prompt``, ``response_a`` and ``response_b`` are JSON lists, a text a turn.

    Raises:
        BadRecord: a column has another form, or the lists differ in length.
        Unusable: an answer is null, or the conversations differ before it, or the answers are equal.
    """
    turns, answers = common({column: _interleaved(values, column) for column in _SIDES.values()})
    return pair(
        values,
        location,
        request=make_request(messages=turns),
        texts=answers,
        qualities=_verdict(values),
        models=two_names(values, "model_a", "model_b"),
    )


def _interleaved(values: Values, column: str) -> Turns:
    prompts, responses = items(values, "prompt"), items(values, column)
    if len(prompts) != len(responses) or not prompts:
        raise BadRecord(
            column, f"must have a text for each of the {len(prompts)} prompts, has {len(responses)}"
        )
    return tuple(
        Message(role=role, content=_text(given, path))
        for turn in zip(prompts, responses, strict=True)
        for role, (path, given) in zip(("user", "assistant"), turn, strict=True)
    )


def _text(value: object, path: str) -> str:
    if value is None:
        raise Unusable(NO_ANSWER)
    if not isinstance(value, str):
        raise BadRecord(path, f"must be a text, is {kind(value)}")
    return value


def _verdict(values: Values) -> tuple[float, float]:
    """Qualities by the columns ``winner_model_a``, ``winner_model_b`` and ``winner_tie``; one is 1."""
    columns = {"winner_model_a": FIRST, "winner_model_b": SECOND, "winner_tie": TIE}
    winners = [qualities for column, qualities in columns.items() if truth(values, column)]
    if len(winners) != 1:
        raise BadRecord("winner_model_a", f"of {', '.join(columns)} one must be 1, {len(winners)} are")
    return winners[0]


CONVERSATIONS = Shape(
    name="Chatbot Arena",
    expected="conversation_a and conversation_b [{role, content}], and winner",
    matches=lambda values: values.keys() >= {*_SIDES, "winner"},
    read=read,
)
LISTS = Shape(
    name="Chatbot Arena 55k",
    expected="prompt, response_a and response_b, JSON lists, winner_model_a, winner_model_b and winner_tie",
    matches=lambda values: values.keys() >= {"prompt", *_SIDES.values(), "winner_model_a"},
    read=read_55k,
)
