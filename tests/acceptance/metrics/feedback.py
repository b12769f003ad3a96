"""Causes of the metrics of feedback."""

from typing import Any

import pytest

from acceptance.metrics.causes import cause, service
from acceptance.wire import Change, until


@cause("laserve_feedback")
def a_feedback_by_kind_and_by_what_became_of_it(request: pytest.FixtureRequest) -> None:
    main = service(request)
    decision_id = main.decide()
    with main.watching() as change:
        main.rate(decision_id, thumb="up")
        main.rate(decision_id, thumb="up")
        main.rate(decision_id, thumb="up")
        main.feedback(decision_id, thumb="down")
        main.feedback("unknown", thumb="down")
    assert change("laserve_feedback_total", kind="thumb", outcome="recorded") == 1
    assert change("laserve_feedback_total", kind="thumb", outcome="duplicate") == 2
    assert change("laserve_feedback_total", kind="thumb", outcome="conflict") == 1


@cause("laserve_reward")
def a_reward_of_a_returned_answer(request: pytest.FixtureRequest) -> None:
    main = service(request)
    decision_id = main.decide(policy="fixed:relevance", task="math")
    labels = {"arm": "relevance", "policy": "fixed:relevance", "task": "math"}
    with main.watching() as change:
        main.rate(decision_id, reward=0.35)
        main.rate(decision_id, reward=0.35)
        main.rate(main.decide(policy="fixed:relevance", task="nobody declared it"), reward=1)
    assert change("laserve_reward_count", **labels) == 1
    assert change("laserve_reward_sum", **labels) == pytest.approx(0.35)
    assert change("laserve_reward_bucket", **labels, le="0.3") == 0
    assert change("laserve_reward_bucket", **labels, le="0.4") == 1
    assert change("laserve_reward_count", **labels | {"task": "other"}) == 1


@cause("laserve_feedback_delay_seconds")
def the_time_from_decision_to_feedback(request: pytest.FixtureRequest) -> None:
    main = service(request)
    decision_id = main.decide()
    with main.watching() as change:
        main.rate(decision_id, reward=1)
        main.rate(decision_id, reward=1)
    assert change("laserve_feedback_delay_seconds_count") == 1
    (row,) = main.decision(decision_id)["feedback"]
    delay = row["created_at"] - main.decision(decision_id)["created_at"]
    assert change("laserve_feedback_delay_seconds_sum") == pytest.approx(delay, abs=1e-3)


@cause("laserve_feedback_pending")
def a_decision_that_waits_for_feedback(request: pytest.FixtureRequest) -> None:
    patient = service(request, "patient")

    def pending() -> float:
        return patient.sample("laserve_feedback_pending")

    owed = patient.rows("select count(*) from decisions where due_at is not null")[0][0]
    until(lambda: pending() == owed)
    taught, deleted, _ = (patient.decide() for _ in range(3))
    until(lambda: pending() == owed + 3)
    patient.rate(taught, thumb="up")
    until(lambda: pending() == owed + 2)
    patient.client.delete(f"/decisions/{deleted}")
    until(lambda: pending() == owed + 1)


def unlearned(watched: Change) -> dict[str, float]:
    """Feedback that taught nothing, by reason."""
    reasons = ("kind", "pinned", "ensemble", "no_arm", "damaged")
    counts = {reason: watched("laserve_feedback_unlearned_total", reason=reason) for reason in reasons}
    return {reason: count for reason, count in counts.items() if count}


#: Reason -> the server, the request, and the feedback on its decision.
UNLEARNED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "kind": ("main", {}, {"thumb": "up"}),
    "pinned": ("main", {"arm": "loglik"}, {"reward": 1}),
    "ensemble": ("main", {"policy": "ensemble-mean"}, {"reward": 1}),
    "no_arm": ("hopeless", {}, {"reward": 1}),
}


@cause("laserve_feedback_unlearned")
def a_feedback_that_is_recorded_and_teaches_nothing(request: pytest.FixtureRequest) -> None:
    for reason, (name, body, feedback) in UNLEARNED.items():
        server = service(request, name)
        decision_id = server.decide(**body)
        with server.watching() as change:
            assert server.rate(decision_id, **feedback)["learned"] is False
            server.rate(decision_id, **feedback)  # a duplicate is not recorded
        assert unlearned(change) == {reason: 1}


@cause("laserve_feedback_unlearned")
def a_feedback_that_teaches_is_not_counted(request: pytest.FixtureRequest) -> None:
    main = service(request)
    decision_id = main.decide()
    with main.watching() as change:
        assert main.rate(decision_id, reward=1)["learned"] is True
        assert main.feedback(decision_id, reward=0).status_code == 409
    assert unlearned(change) == {}


@cause("laserve_answered")
def a_decision_s_first_feedback(request: pytest.FixtureRequest) -> None:
    main = service(request)
    taught, pinned = main.decide(policy="fixed:relevance", task="math"), main.decide(arm="loglik")
    with main.watching() as change:
        main.rate(taught, thumb="up")  # of a kind that does not teach
        main.rate(taught, thumb="up")
        main.rate(taught, reward=1)
        main.rate(taught, reward=0, source="another rater")
        main.rate(taught, reward=0.5, key="a correction")
        main.rate(pinned, reward=1)
    assert change("laserve_answered_total", arm="relevance", policy="fixed:relevance", task="math") == 1
    assert change("laserve_answered_total", arm="loglik", policy="pinned", task="none") == 1


@cause("laserve_answered")
def a_first_feedback_after_the_default_reward(request: pytest.FixtureRequest) -> None:
    brief = service(request, "brief")
    labels = {"arm": "relevance", "policy": "fixed:relevance", "task": "none"}
    with brief.watching() as change:
        decision_id = brief.decide(policy="fixed:relevance")
        until(lambda: brief.decision(decision_id)["feedback"])
    assert change("laserve_answered_total", **labels) == 0
    with brief.watching() as change:
        assert brief.rate(decision_id, reward=1)["status"] == "late"
    assert change("laserve_answered_total", **labels) == 1
