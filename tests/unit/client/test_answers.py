"""Reading of answers by the clients."""

import json
from dataclasses import FrozenInstanceError
from typing import Any

import httpx
import pytest

from laserve_client import (
    Arm,
    BatchOutcome,
    Candidate,
    Change,
    FeedbackOutcome,
    NotFound,
    PolicyArm,
    Readiness,
    RewardScale,
    StoredDecision,
    StoredFeedback,
    UnexpectedAnswer,
    Usage,
    Why,
)

ARM: dict[str, Any] = {
    "name": "loglik",
    "kind": "loglik",
    "state": "failed",
    "error": "no such folder",
    "free": True,
    "pulls": 2,
    "updates": 3,
    "mean_reward": None,
}
POLICY: dict[str, Any] = {
    "name": "linucb",
    "parameters": {"alpha": 1.0},
    "context": ["bias"],
    "log_position": 4,
    "digest": "00ff",
    "decisions": 2,
    "learn_from": None,
    "arms": [{"name": "loglik", "pulls": 2, "updates": 3, "mean_reward": 0.5, "theta": [0.25]}],
}


#: Objects whose keys are no fields.
FREE = {"timings", "sampling", "request", "metadata", "choices", "scores", "parameters"}


def newer(body: Any) -> Any:
    """The answer of a later service, with one more field in every object."""
    if isinstance(body, dict):
        known = {name: value if name in FREE else newer(value) for name, value in body.items()}
        return known | {"field_of_tomorrow": {}}
    return [newer(value) for value in body] if isinstance(body, list) else body


async def test_generate_returns_the_decision_with_all_that_explains_it(calling, decision_body):
    decision = await calling(httpx.Response(200, json=decision_body))("generate", prompt="when")
    assert (decision.decision_id, decision.text, decision.index) == ("d1", "1907", 1)
    assert (decision.arm, decision.scored_by, decision.policy) == ("loglik", "consensus", "linucb")
    assert (decision.propensity, decision.score) == (0.25, 0.75)
    assert decision.candidates == (
        Candidate(index=0, text="1911", finish_reason="stop", tokens=2, logprob=-2.5, score=None),
        Candidate(index=1, text="1907", finish_reason="stop", tokens=2, logprob=-1.25, score=0.75),
    )
    assert decision.why == (Why(arm="loglik", mean=0.5, width=1.5, probability=0.25),)
    assert decision.usage == Usage(prompt_tokens=10, completion_tokens=4, total_tokens=14)
    assert (decision.timings, decision.truncated) == ({"total": 0.125}, False)
    assert decision.degraded == ("arm_failed: loglik: no",)


async def test_a_decision_without_its_candidates_says_none(calling, decision_body):
    body = decision_body | {"candidates": None, "propensity": None, "scored_by": None, "score": None}
    decision = await calling(httpx.Response(200, json=body))(
        "generate", prompt="when", return_candidates=False
    )
    assert (decision.candidates, decision.propensity, decision.scored_by) == (None, None, None)


async def test_decision_returns_what_was_logged_and_the_feedback(calling, stored_body):
    stored = await calling(httpx.Response(200, json=stored_body))("decision", "d1")
    assert isinstance(stored, StoredDecision)
    assert (stored.text, stored.created_at, stored.log_position, stored.task) == ("1907", 1.5, 4, None)
    assert (stored.sampling, stored.request, stored.metadata) == ({"n": 2}, {"prompt": "when"}, {"user": 7})
    assert (stored.choices, stored.scores) == ({"consensus": 1}, {"consensus": (None, 0.75)})
    assert stored.feedback == (
        StoredFeedback(position=5, learned=True, reward=1.0, created_at=2.5, body=None),
    )


async def test_feedback_returns_its_outcome(calling):
    answer = httpx.Response(200, json={"status": "duplicate", "learned": False, "reward": None})
    outcome = await calling(answer)("feedback", "d1", thumb="up")
    assert outcome == FeedbackOutcome(status="duplicate", learned=False, reward=None)


async def test_a_batch_returns_an_outcome_a_line_and_raises_none_of_their_errors(calling):
    lines = (
        b'{"line":1,"status":"recorded","learned":true,"reward":1.0}\n'
        b'{"line":2,"status":"error","error":'
        b'{"type":"invalid_request_error","code":"not_found","message":"none","param":"decision_id"}}\n'
    )
    batch = [{"decision_id": "d1", "thumb": "up"}, {"decision_id": "d2", "thumb": "up"}]
    first, second = await calling(httpx.Response(200, content=lines))("feedback_batch", batch)
    assert first == BatchOutcome(line=1, status="recorded", learned=True, reward=1.0)
    assert (second.line, second.status, second.learned, second.reward) == (2, "error", None, None)
    assert isinstance(second.error, NotFound)
    assert (second.error.status, second.error.param) == (404, "decision_id")


async def test_an_empty_batch_has_no_outcomes(calling):
    assert await calling(httpx.Response(200))("feedback_batch", []) == []


async def test_delete_returns_nothing(calling):
    assert await calling(httpx.Response(204))("delete", "d1") is None


async def test_arms_returns_each_reward_model(calling):
    assert await calling(httpx.Response(200, json={"arms": [ARM]}))("arms") == [Arm(**ARM)]


async def test_one_arm_is_read_added_and_moved(calling):
    for method, arguments, settings, sent in (
        ("arm", ["my/arm"], {}, ("GET", b"/arms/my%2Farm", None)),
        (
            "add_arm",
            ["new", "fake"],
            {"options": {"salt": "a"}, "timeout_s": None, "overlap": "off"},
            ("POST", b"/arms", {"name": "new", "kind": "fake", "options": {"salt": "a"}, "overlap": "off"}),
        ),
        ("set_arm_state", ["my/arm", "retired"], {}, ("PATCH", b"/arms/my%2Farm", {"state": "retired"})),
    ):
        caller = calling(httpx.Response(202 if method == "add_arm" else 200, json=ARM))
        assert await caller(method, *arguments, **settings) == Arm(**ARM)
        (request,) = caller.requests
        body = json.loads(request.content) if request.content else None
        assert (request.method, request.url.raw_path, body) == sent


async def test_policy_returns_what_was_learned(calling):
    state = await calling(httpx.Response(200, json=POLICY))("policy")
    assert (state.name, state.parameters, state.context) == ("linucb", {"alpha": 1.0}, ("bias",))
    assert (state.log_position, state.digest, state.decisions, state.learn_from) == (4, "00ff", 2, None)
    assert state.arms == (PolicyArm(name="loglik", pulls=2, updates=3, mean_reward=0.5, theta=(0.25,)),)
    assert (dict(state.fingerprints), state.changes) == ({}, ())  # an older service, which does not send them


async def test_policy_returns_what_has_changed(calling):
    change = {"what": "arm", "arm": "loglik", "before": "a", "after": "b", "kept": 0.5}
    change |= {"position": 9, "decisions": 2}
    body = POLICY | {"fingerprints": {"generator": "c"}, "changes": [change]}
    state = await calling(httpx.Response(200, json=body))("policy")
    assert state.fingerprints == {"generator": "c"}
    assert state.changes == (Change(**change),)


async def test_policy_returns_the_scale_of_rewards(calling):
    scale = {"low": 0.25, "high": 0.75}
    state = await calling(httpx.Response(200, json=POLICY | {"reward_scale": scale}))("policy")
    assert state.reward_scale == RewardScale(**scale)


@pytest.mark.parametrize(("code", "status"), [(200, "ready"), (503, "loading"), (503, "failed")])
async def test_ready_tells_what_is_missing_and_neither_raises_nor_repeats(calling, code, status):
    body = {"status": status, "store": "ready", "generator": status, "arms": {"loglik": "ready"}}
    caller = calling(httpx.Response(code, json=body))
    assert await caller("ready") == Readiness(**body)
    assert len(caller.requests) == 1


async def test_answers_of_a_newer_service_are_read_without_what_it_added(calling, stored_body):
    for method, arguments, body in (
        ("decision", ["d1"], stored_body),
        ("arms", [], {"arms": [ARM]}),
        ("policy", [], POLICY),
    ):
        known = await calling(httpx.Response(200, json=body))(method, *arguments)
        answer = await calling(httpx.Response(200, json=newer(body)))(method, *arguments)
        assert answer == known


async def test_answers_cannot_be_changed(calling, decision_body):
    decision = await calling(httpx.Response(200, json=decision_body))("generate", prompt="when")
    with pytest.raises(FrozenInstanceError):
        decision.text = "1911"


@pytest.mark.parametrize(
    "body", [b"<html>", b"", b"null", b"[]", b'"text"', b"{}", b'{"decision_id": "d1"}', b"\xff", b"7"]
)
@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("generate", {"prompt": "when"}),
        ("feedback", {"decision_id": "d1", "reward": 1}),
        ("feedback_batch", {"lines": [{"decision_id": "d1", "reward": 1}]}),
        ("decision", {"decision_id": "d1"}),
        ("arms", {}),
        ("policy", {}),
        ("ready", {}),
        ("health", {}),
    ],
)
async def test_an_answer_of_something_else_is_told_from_one_of_laserve(calling, method, arguments, body):
    with pytest.raises(UnexpectedAnswer, match="not an answer of laserve"):
        await calling(httpx.Response(200, content=body))(method, **arguments)


async def test_a_batch_with_fewer_answers_than_lines_is_not_taken_for_whole(calling):
    answer = httpx.Response(200, content=b'{"line":1,"status":"recorded","learned":true}\n')
    batch = [{"decision_id": "d1", "thumb": "up"}, {"decision_id": "d2", "thumb": "up"}]
    with pytest.raises(UnexpectedAnswer):
        await calling(answer)("feedback_batch", batch)
