"""The feedback window: what is late, and what is learned of a decision that nobody speaks of."""

from typing import Any

import pytest

from acceptance.wire import Service, until
from integration.operation import verified_digest
from laserve.api.bodies.answers import FeedbackAnswer
from laserve_client import Client

#: Of the server `brief`.
WAIT_S, DEFAULT_REWARD = 0.5, 0.25


def feedback_on(service: Service, decision_id: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = service.decision(decision_id)["feedback"]
    return rows


def lapsed(service: Service, **body: Any) -> str:
    """Id of a decision whose default has been learned."""
    decision_id = service.decide(**body)
    until(
        lambda: (
            {"default_reward": DEFAULT_REWARD} in [row["body"] for row in feedback_on(service, decision_id)]
        )
    )
    return decision_id


def learned(service: Service, arm: str) -> tuple[int, int, float]:
    """Decisions, pulls and the sum of the rewards that an arm has learned."""
    policy = service.policy()
    (match,) = (one for one in policy["arms"] if one["name"] == arm)
    assert match["pulls"] <= match["updates"]
    return policy["decisions"], match["pulls"], (match["mean_reward"] or 0.0) * match["updates"]


def test_a_decision_that_nobody_speaks_of_teaches_the_default_once_its_window_has_closed(
    brief: Service,
) -> None:
    decisions, pulls, rewards = learned(brief, "relevance")
    with brief.watching() as change:
        decision_id = lapsed(brief, policy="fixed:relevance")
    stored = brief.decision(decision_id)
    (row,) = stored["feedback"]
    assert (row["learned"], row["reward"]) == (True, DEFAULT_REWARD)
    assert row["body"] == {"default_reward": DEFAULT_REWARD}
    assert row["created_at"] > stored["created_at"] + WAIT_S
    assert row["position"] == brief.policy()["log_position"]
    assert learned(brief, "relevance") == (decisions + 1, pulls + 1, pytest.approx(rewards + DEFAULT_REWARD))
    assert change("laserve_feedback_total", kind="default", outcome="recorded") == 1
    assert change("laserve_arm_pulls", arm="relevance") == 1
    assert change("laserve_reward_count", arm="relevance", policy="fixed:relevance", task="none") == 0
    assert change("laserve_feedback_delay_seconds_count") == 0
    until(lambda: brief.sample("laserve_feedback_pending") == 0)


def test_feedback_after_the_window_is_late_and_replaces_the_default(brief: Service) -> None:
    decision_id = lapsed(brief, policy="fixed:relevance")
    decisions, pulls, rewards = learned(brief, "relevance")
    with brief.watching() as change:
        answer = brief.feedback(decision_id, reward=1)
    FeedbackAnswer.model_validate_json(answer.content, strict=True)
    assert answer.json() == {"status": "late", "learned": True, "reward": 1.0}
    assert change("laserve_feedback_total", kind="reward", outcome="late") == 1
    assert change("laserve_reward_count", arm="relevance", policy="fixed:relevance", task="none") == 1
    after = learned(brief, "relevance")
    assert after == (decisions, pulls, pytest.approx(rewards - DEFAULT_REWARD + 1))
    assert brief.rate(decision_id, reward=1) == answer.json() | {"status": "duplicate"}
    assert learned(brief, "relevance") == after
    assert [row["reward"] for row in feedback_on(brief, decision_id)] == [DEFAULT_REWARD, 1.0]


def test_a_correction_replaces_what_replaced_the_default(brief: Service) -> None:
    decision_id = lapsed(brief, policy="fixed:relevance")
    decisions, pulls, rewards = learned(brief, "relevance")
    brief.rate(decision_id, reward=1)
    answer = brief.rate(decision_id, key="the correction of a late one", reward=0.5)
    assert answer == {"status": "late", "learned": True, "reward": 0.5}
    assert learned(brief, "relevance") == (
        decisions,
        pulls,
        pytest.approx(rewards - DEFAULT_REWARD + 0.5),
    )


def test_late_feedback_of_a_kind_that_does_not_teach_is_stored_without_learning(brief: Service) -> None:
    decision_id = lapsed(brief)
    before = brief.policy()
    assert brief.rate(decision_id, thumb="up") == {"status": "late", "learned": False, "reward": 1.0}
    assert brief.policy()["arms"] == before["arms"]


@pytest.mark.timed
def test_feedback_of_a_kind_that_does_not_teach_leaves_the_default_to_come(brief: Service) -> None:
    decision_id = brief.decide()
    assert brief.rate(decision_id, thumb="up")["learned"] is False
    until(lambda: len(feedback_on(brief, decision_id)) == 2)
    assert [row["reward"] for row in feedback_on(brief, decision_id)] == [1.0, DEFAULT_REWARD]


def test_a_pinned_decision_gets_no_default_though_feedback_on_it_can_be_late(brief: Service) -> None:
    pinned = brief.decide(arm="loglik")
    lapsed(brief)  # its window closed behind the other one's
    assert feedback_on(brief, pinned) == []
    assert brief.rate(pinned, reward=1) == {"status": "late", "learned": False, "reward": 1.0}


@pytest.mark.timed
def test_a_deleted_decision_gets_no_default(brief: Service) -> None:
    deleted = brief.decide()
    assert brief.client.delete(f"/decisions/{deleted}").status_code == 204
    lapsed(brief)
    assert brief.rows("select * from feedback where decision_id = ?", deleted) == []
    assert brief.rows("select due_at from decisions where id = ?", deleted) == [(None,)]


def test_a_decision_can_be_deleted_after_its_default(brief: Service) -> None:
    decision_id = lapsed(brief)
    before = brief.policy()
    assert brief.client.delete(f"/decisions/{decision_id}").status_code == 204
    assert brief.feedback(decision_id, reward=1).status_code == 410
    assert brief.policy() == before
    assert brief.rows("select body, reward from feedback where decision_id = ?", decision_id) == [
        (None, DEFAULT_REWARD)
    ]


def test_a_batch_and_the_client_tell_what_was_late(brief: Service) -> None:
    decision_id = lapsed(brief)
    line = f'{{"decision_id": "{decision_id}", "reward": 1}}'
    answer = brief.client.post("/feedback/batch", content=f"{line}\n{line}\n")
    assert [one.split(",")[1] for one in answer.text.splitlines()] == [
        '"status":"late"',
        '"status":"duplicate"',
    ]
    with Client(brief.server.url) as client:
        assert client.feedback(decision_id, thumb="up").status == "late"
        default, _, _ = client.decision(decision_id).feedback
        assert default.body == {"default_reward": DEFAULT_REWARD}


def test_the_log_verifies_with_defaults_and_late_feedback(brief: Service) -> None:
    brief.rate(lapsed(brief), reward=1)
    assert verified_digest(brief.folder) == brief.policy()["digest"]


def test_feedback_in_time_is_recorded_and_leaves_no_default_to_come(patient: Service) -> None:
    decision_id = patient.decide()
    assert patient.rows("select due_at - created_at from decisions where id = ?", decision_id) == [
        (pytest.approx(3600),)
    ]
    assert patient.rate(decision_id, thumb="up") == {"status": "recorded", "learned": True, "reward": 1.0}
    assert patient.rows("select due_at from decisions where id = ?", decision_id) == [(None,)]
    assert patient.rate(decision_id, key="in time", thumb="down")["status"] == "recorded"


def test_without_a_window_nothing_is_late_and_nothing_is_due(main: Service) -> None:
    decision_id = main.decide()
    assert main.rate(decision_id, reward=1)["status"] == "recorded"
    assert main.rows("select count(*) from decisions where due_at is not null") == [(0,)]
    assert main.sample("laserve_feedback_pending") == 0
