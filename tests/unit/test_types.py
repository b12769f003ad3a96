import math
from typing import Any

import pytest

from builders import make_candidate, make_decision, make_feedback, make_request
from laserve.types import Message, Request

TALK = (
    Message(role="system", content="be brief"),
    Message(role="user", content="first"),
    Message(role="assistant", content="yes"),
    Message(role="user", content="second"),
    Message(role="assistant", content="well"),
)


@pytest.mark.parametrize(
    ("request_", "query"),
    [
        (make_request(question="who"), "who"),
        (make_request(prompt="once upon"), "once upon"),
        (make_request(messages=TALK), "second"),
        (make_request(messages=TALK[:1]), ""),
    ],
)
def test_the_query_is_the_question_or_the_last_user_message_or_the_prompt(
    request_: Request, query: str
) -> None:
    assert request_.query == query


def test_the_mean_logprob_of_an_empty_candidate_is_the_lowest() -> None:
    assert make_candidate(tokens=0, logprob=0.0).mean_logprob == -math.inf
    assert make_candidate(tokens=4, logprob=-2.0).mean_logprob == -0.5


@pytest.mark.parametrize(
    ("changes", "learnable"),
    [({}, True), ({"propensity": None}, False), ({"scored_by": None}, False)],
)
def test_only_a_drawn_and_scored_decision_may_teach(changes: dict[str, None], learnable: bool) -> None:
    assert make_decision(**changes).learnable is learnable


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"policy": "pinned", "propensity": None}, "pinned"),
        ({"policy": "ensemble-rank", "propensity": None}, "ensemble"),
        ({"scored_by": None}, "no_arm"),
        ({"policy": "pinned", "propensity": None, "scored_by": None}, "pinned"),
    ],
)
def test_a_decision_that_may_not_teach_has_a_reason(changes: dict[str, Any], reason: str | None) -> None:
    assert make_decision(**changes).unlearnable == reason


def test_the_returned_text_is_that_of_the_returned_index() -> None:
    assert make_decision(index=3).text == "c"


def test_a_feedback_without_a_key_is_told_by_decision_source_and_kind() -> None:
    plain = make_feedback("reward", 1.0)
    assert plain.identity == make_feedback("reward", 0.0).identity
    others = [
        make_feedback("thumb", 1.0),
        make_feedback("reward", 1.0, source="ann"),
        make_feedback("reward", 1.0, decision_id="decision-2"),
        make_feedback("reward", 1.0, idempotency_key="k"),
    ]
    assert len({plain.identity, *(other.identity for other in others)}) == 5


def test_an_idempotency_key_alone_tells_a_feedback() -> None:
    first = make_feedback("reward", 1.0, idempotency_key="k")
    second = make_feedback("thumb", 0.0, decision_id="decision-2", idempotency_key="k")
    assert first.identity == second.identity
