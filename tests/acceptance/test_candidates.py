"""Time runs out: the candidates that are there answer, and without one there is no answer."""

import json
import time
from typing import Any

import pytest

from acceptance.busy import EACH_S
from acceptance.wire import Service, stream
from laserve.api.bodies.answers import DecisionBody, ErrorBody

pytestmark = pytest.mark.timed

N = 8
#: Enough for the first candidates and not for all.
SOME_S = 3.5 * EACH_S
#: Over before the first candidate.
NONE_S = 0.5 * EACH_S


def test_candidates_that_have_finished_by_the_deadline_answer(unhurried: Service) -> None:
    with unhurried.watching() as change:
        started = time.monotonic()
        answer = unhurried.client.post("/generate", json={"prompt": "a b", "n": N, "timeout_s": SOME_S})
        assert time.monotonic() - started < N * EACH_S
    assert answer.status_code == 200
    DecisionBody.model_validate_json(answer.content, strict=True)
    decision = answer.json()
    finished = len(decision["candidates"])
    assert 1 <= finished <= 3
    assert decision["degraded"] == [f"timeout: {finished} of {N} candidates finished in time"]
    assert decision["text"] == decision["candidates"][decision["index"]]["text"]
    assert decision["scored_by"] == decision["arm"]
    assert decision["score"] == max(candidate["score"] for candidate in decision["candidates"])
    assert change("laserve_degraded_total", reason="timeout") == 1
    assert change("laserve_candidates_total", finish_reason="stop") == finished


def test_a_decision_on_some_candidates_is_stored_with_those_and_takes_feedback_on_those(
    unhurried: Service,
) -> None:
    answer = unhurried.generate(n=N, timeout_s=SOME_S)
    finished = len(answer["candidates"])
    assert finished < N
    stored = unhurried.decision(answer["decision_id"])
    assert stored["candidates"] == answer["candidates"]
    assert stored["sampling"]["n"] == N  # what was asked
    assert stored["degraded"] == answer["degraded"]
    assert {len(scores) for scores in stored["scores"].values()} == {finished}
    for rewards in ([0.5] * N, [0.5] * (finished + 1)):
        assert unhurried.feedback(answer["decision_id"], candidate_rewards=rewards).status_code == 422
    assert unhurried.feedback(answer["decision_id"], chosen_index=finished).status_code == 422
    result = unhurried.rate(answer["decision_id"], candidate_rewards=[0.5] * finished)
    assert result == {"status": "recorded", "learned": True, "reward": 0.5}


def test_a_stream_ends_with_a_decision_on_the_candidates_that_it_gave(unhurried: Service) -> None:
    *candidates, last = stream(unhurried, prompt="a b", n=N, timeout_s=SOME_S)
    assert [event.event for event in candidates] == ["candidate"] * len(candidates)
    assert 1 <= len(candidates) < N
    assert last.event == "decision"
    decision = last.json()
    assert decision["degraded"] == [f"timeout: {len(candidates)} of {N} candidates finished in time"]
    assert [candidate["text"] for candidate in decision["candidates"]] == [
        event.json()["text"] for event in candidates
    ]
    assert unhurried.decision(decision["decision_id"])["text"] == decision["text"]


@pytest.mark.parametrize("body", [{}, {"arm": "loglik"}, {"policy": "random"}], ids=json.dumps)
def test_without_a_candidate_by_the_deadline_there_is_no_answer_and_no_decision(
    unhurried: Service, body: dict[str, Any]
) -> None:
    written = unhurried.decisions()
    with unhurried.watching() as change:
        started = time.monotonic()
        answer = unhurried.client.post("/generate", json={"prompt": "a", "n": N, "timeout_s": NONE_S} | body)
        assert NONE_S <= time.monotonic() - started < N * EACH_S
    assert answer.status_code == 504
    error = ErrorBody.model_validate_json(answer.content, strict=True).error
    assert (error.type, error.code, error.param) == ("timeout_error", "no_candidate", "timeout_s")
    assert error.message == f"timeout_s: no candidate finished within {NONE_S:g} s"
    assert unhurried.decisions() == written
    assert unhurried.sample("laserve_permits_in_use") == 0
    assert change("laserve_requests_total", endpoint="/generate", status="504") == 1


def test_a_stream_without_a_candidate_by_the_deadline_ends_with_the_error(unhurried: Service) -> None:
    written = unhurried.decisions()
    (last,) = stream(unhurried, prompt="a", n=N, timeout_s=NONE_S)
    assert last.event == "error"
    error = ErrorBody.model_validate_json(last.data, strict=True).error
    assert (error.code, error.param) == ("no_candidate", "timeout_s")
    assert unhurried.decisions() == written
    assert unhurried.sample("laserve_permits_in_use") == 0
