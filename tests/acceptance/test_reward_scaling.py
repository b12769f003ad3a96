"""Rewards scaled by their quantiles: learned so, and told as they were earned."""

import json

import pytest

from acceptance.wire import Service
from integration.operation import verified_digest

#: What answers earn, over and over; the 20% and 80% quantiles of the first 24 are 0.40 and 0.44.
EARNED = (0.4, 0.41, 0.42, 0.44, 0.45)


def test_rewards_are_learned_by_their_place_and_told_as_they_were_earned(scaled: Service) -> None:
    with scaled.watching() as change:
        for reward in EARNED * 5:
            decision_id = scaled.decide(policy="fixed:relevance")
            assert scaled.rate(decision_id, reward=reward)["reward"] == reward
    assert change(
        "laserve_reward_sum", arm="relevance", policy="fixed:relevance", task="none"
    ) == pytest.approx(5 * sum(EARNED))
    ((payload,),) = scaled.rows("select payload from events where decision_id = ?", decision_id)
    event = json.loads(payload)
    assert event["updates"] == [["relevance", 1.0, 1.0, 0.45]]
    assert event["body"] | {"reward": 0.45, "scaled_reward": 1.0, "scale": [0.4, 0.44]} == event["body"]
    (arm,) = (arm for arm in scaled.policy()["arms"] if arm["name"] == "relevance")
    assert arm["mean_reward"] == pytest.approx(sum(EARNED) / len(EARNED))
    (row,) = scaled.decision(decision_id)["feedback"]
    assert (row["reward"], row["body"]["reward"]) == (0.45, 0.45)
    assert scaled.policy()["parameters"]["reward_scaling"] == "quantile"
    assert scaled.policy()["reward_scale"] == {"low": 0.4, "high": 0.44}


def test_a_correction_keeps_the_scale_of_what_it_corrects(scaled: Service) -> None:
    decision_id = scaled.decide()
    scaled.rate(decision_id, reward=0.5)
    scaled.rate(decision_id, key="a correction under the same scale", reward=0.1)
    rows = scaled.rows("select payload from events where decision_id = ? order by position", decision_id)
    first, second = (json.loads(payload) for (payload,) in rows)
    assert second["replaces"] == first["updates"]
    assert first["body"].get("scale") == second["body"].get("scale")


def test_the_log_proves_what_the_service_has_learned(scaled: Service) -> None:
    assert verified_digest(scaled.folder) == scaled.policy()["digest"]
