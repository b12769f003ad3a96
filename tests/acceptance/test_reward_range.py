"""Rewards of another range than 0 to 1: taken as they are, learned in [0, 1]."""

import json

import pytest

from acceptance.wire import Service
from laserve.api.bodies.answers import ErrorBody
from laserve_client import Client


def taught(service: Service) -> tuple[int, float]:
    """Rewards that all arms have learned, and their sum."""
    arms = service.policy()["arms"]
    return sum(arm["updates"] for arm in arms), sum(
        (arm["mean_reward"] or 0.0) * arm["updates"] for arm in arms
    )


@pytest.mark.parametrize(("sent", "learned"), [(-1, 0.0), (-0.5, 0.25), (0, 0.5), (0.5, 0.75), (1, 1.0)])
def test_a_reward_is_learned_in_proportion_to_the_range(signed: Service, sent: float, learned: float) -> None:
    decision = signed.generate()
    updates, total = taught(signed)
    with signed.watching() as change:
        answer = signed.rate(decision["decision_id"], reward=sent)
    assert answer == {"status": "recorded", "learned": True, "reward": learned}
    assert taught(signed) == (updates + 1, pytest.approx(total + learned))
    labels = {"arm": decision["scored_by"], "policy": decision["policy"], "task": "none"}
    assert change("laserve_reward_sum", **labels) == pytest.approx(learned)


def test_a_stored_feedback_is_as_it_was_sent_and_tells_its_range(signed: Service) -> None:
    decision_id = signed.decide()
    signed.rate(decision_id, reward=-0.5)
    (row,) = signed.decision(decision_id)["feedback"]
    assert row["reward"] == 0.25
    assert row["body"] == {
        "decision_id": decision_id,
        "reward": -0.5,
        "source": "",
        "reward_range": [-1.0, 1.0],
    }
    with Client(str(signed.client.base_url)) as client:
        (stored,) = client.decision(decision_id).feedback
    assert (stored.reward, stored.body) == (0.25, row["body"])


@pytest.mark.parametrize(
    ("body", "param", "value"),
    [
        ({"reward": 1.5}, "reward", "1.5"),
        ({"reward": -1.01}, "reward", "-1.01"),
        ({"candidate_rewards": [0, 0, -2, 0]}, "candidate_rewards.2", "-2"),
    ],
    ids=["above", "below", "of a candidate"],
)
def test_a_reward_outside_of_the_range_is_refused_with_the_range(
    signed: Service, body: dict[str, object], param: str, value: str
) -> None:
    decision_id = signed.decide(n=4)
    before = signed.policy()
    answer = signed.feedback(decision_id, **body)
    assert answer.status_code == 422
    error = ErrorBody.model_validate_json(answer.content, strict=True).error
    assert error.param == param
    assert error.message == f"{param}: {value} is outside of feedback.reward_range, -1 to 1"
    assert signed.policy() == before
    assert signed.decision(decision_id)["feedback"] == []


def test_candidates_rewards_are_of_the_same_range(signed: Service) -> None:
    decision = signed.generate(n=4)
    sent = [-1.0, -0.5, 0.0, 1.0]
    result = signed.rate(decision["decision_id"], candidate_rewards=sent)
    assert result["reward"] == (sent[decision["index"]] + 1) / 2
    lines = signed.client.get("/export").text.splitlines()
    (line,) = [line for line in map(json.loads, lines) if line["id"] == decision["decision_id"]]
    assert line["rewards"] == [0.0, 0.25, 0.5, 1.0]
    (word,) = line["feedback"]
    assert (word["value"], word["reward_range"]) == (sent, [-1.0, 1.0])


@pytest.mark.parametrize(
    ("body", "learned"),
    [
        ({"thumb": "down"}, 0.0),
        ({"thumb": "up"}, 1.0),
        ({"chosen_index": 0}, None),
        ({"references": ["Zyzzyva"]}, 0.0),
    ],
    ids=["down", "up", "chosen", "references"],
)
def test_the_other_kinds_have_no_range(
    signed: Service, body: dict[str, object], learned: float | None
) -> None:
    decision = signed.generate(n=4)
    returned = decision["candidates"][0]["text"] == decision["text"]
    expected = float(returned) if learned is None else learned
    assert signed.rate(decision["decision_id"], **body)["reward"] == expected
    (row,) = signed.decision(decision["decision_id"])["feedback"]
    assert "reward_range" not in row["body"]


def test_a_repeat_is_a_duplicate_and_another_reward_a_conflict(signed: Service) -> None:
    decision_id = signed.decide()
    signed.rate(decision_id, reward=-1)
    assert signed.rate(decision_id, reward=-1) == {"status": "duplicate", "learned": True, "reward": 0.0}
    conflict = signed.feedback(decision_id, reward=0)
    assert conflict.status_code == 409
    assert conflict.json()["error"]["stored"]["reward"] == -1


@pytest.mark.parametrize(
    ("body", "status"), [({"reward": -0.5}, "recorded"), ({"reward": 1.5}, "error")], ids=["in", "out"]
)
def test_a_batch_has_the_same_range(signed: Service, body: dict[str, float], status: str) -> None:
    line = json.dumps({"decision_id": signed.decide()} | body)
    answer = json.loads(signed.client.post("/feedback/batch", content=line).text)
    assert answer["status"] == status
    if status == "error":
        assert answer["error"]["param"] == "reward"
        assert "-1 to 1" in answer["error"]["message"]
    else:
        assert answer["reward"] == 0.25


def test_the_default_is_of_the_same_range(signed: Service) -> None:
    decision_id = signed.decide()
    query = "select json_extract(record, '$.default_reward') from decisions where id = ?"
    assert signed.rows(query, decision_id) == [(0.25,)]
