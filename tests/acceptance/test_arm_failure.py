"""An arm that fails costs the request its scores, never its answer."""

import pytest

from acceptance.wire import Service


def test_a_drawn_arm_that_fails_is_replaced_by_another(faulty: Service) -> None:
    answer = faulty.generate(policy="fixed:late")
    assert answer["arm"] == "late"
    assert answer["propensity"] == 1
    assert answer["scored_by"] == "loglik"
    assert answer["text"] == answer["candidates"][answer["index"]]["text"]
    assert answer["score"] == max(candidate["logprob"] for candidate in answer["candidates"])
    (reason,) = answer["degraded"]
    assert reason.startswith("arm_failed: late: ")


@pytest.mark.timed
def test_an_arm_that_is_slower_than_its_timeout_fails(faulty: Service) -> None:
    answer = faulty.generate(policy="fixed:late")
    assert answer["degraded"] == ["arm_failed: late: no scores within 0.05 s"]
    # It would have taken 0.5 s; the request did not wait for it.
    assert 0.05 <= answer["timings"]["score"] < 0.5


def test_a_pinned_arm_that_fails_is_replaced_as_well(faulty: Service) -> None:
    answer = faulty.generate(arm="late")
    assert (answer["arm"], answer["scored_by"], answer["propensity"]) == ("late", "loglik", None)
    assert answer["degraded"][0].startswith("arm_failed: late: ")


def test_feedback_on_a_replaced_arm_teaches_the_arm_that_scored(faulty: Service) -> None:
    decision_id = faulty.decide(policy="fixed:late")
    before = {arm["name"]: arm for arm in faulty.policy()["arms"]}
    assert faulty.rate(decision_id, reward=1)["learned"] is True
    after = {arm["name"]: arm for arm in faulty.policy()["arms"]}
    assert after["loglik"]["pulls"] == before["loglik"]["pulls"] + 1
    assert after["late"] == before["late"]


def test_a_failed_arm_has_no_choice_in_the_stored_decision(faulty: Service) -> None:
    answer = faulty.generate(policy="fixed:late")
    stored = faulty.decision(answer["decision_id"])
    assert stored["choices"].keys() == stored["scores"].keys() == {"loglik"}
    assert stored["degraded"] == answer["degraded"]


def test_an_arm_that_cannot_be_loaded_is_left_out_by_name(faulty: Service) -> None:
    assert faulty.get("/readyz")["arms"] == {"loglik": "ready", "late": "ready", "broken": "failed"}
    assert faulty.get("/readyz")["status"] == "ready"
    (broken,) = (arm for arm in faulty.get("/arms")["arms"] if arm["name"] == "broken")
    assert (broken["state"], broken["error"]) == ("failed", "told to fail")
    assert "arm broken failed to load" in faulty.server.output()
    for _ in range(10):
        assert [why["arm"] for why in faulty.generate(n=1)["why"]] == ["loglik", "late"]


def test_an_arm_that_was_left_out_cannot_be_asked_for(faulty: Service) -> None:
    pinned = faulty.client.post("/generate", json={"prompt": "a", "arm": "broken"})
    assert pinned.status_code == 422
    assert pinned.json()["error"]["param"] == "arm"
    fixed = faulty.client.post("/generate", json={"prompt": "a", "policy": "fixed:broken"})
    assert fixed.status_code == 503
    assert "fixed:broken" in fixed.json()["error"]["message"]
    assert int(fixed.headers["retry-after"]) >= 1


def test_when_every_arm_fails_the_likeliest_candidate_per_token_is_returned(hopeless: Service) -> None:
    answer = hopeless.generate(n=8)
    assert answer["scored_by"] is None
    assert answer["score"] is None
    assert all(candidate["score"] is None for candidate in answer["candidates"])
    means = [candidate["logprob"] / candidate["tokens"] for candidate in answer["candidates"]]
    assert answer["index"] == means.index(max(means))
    assert answer["text"] == answer["candidates"][answer["index"]]["text"]
    reasons = [reason.partition(": ")[0] for reason in answer["degraded"]]
    assert reasons == ["arm_failed", "arm_failed", "unscored"]
    assert {reason.split(": ")[1] for reason in answer["degraded"][:2]} == {"late", "later"}


@pytest.mark.parametrize(
    ("body", "reward"),
    [
        ({"reward": 0.5}, 0.5),
        ({"thumb": "up"}, 1.0),
        ({"chosen_index": 0}, None),
        ({"candidate_rewards": [0.25] * 4}, 0.25),
        ({"references": ["unheard of"]}, 0.0),
    ],
)
def test_feedback_on_an_unscored_decision_is_recorded_and_teaches_nothing(
    hopeless: Service, body: dict[str, object], reward: float | None
) -> None:
    answer = hopeless.generate(n=4)
    if reward is None:
        texts = [candidate["text"] for candidate in answer["candidates"]]
        reward = float(texts[0] == answer["text"])
    before = hopeless.policy()
    result = hopeless.rate(answer["decision_id"], **body)
    assert result == {"status": "recorded", "learned": False, "reward": reward}
    after = hopeless.policy()
    assert after["log_position"] == before["log_position"] + 1
    assert (after["arms"], after["learn_from"]) == (before["arms"], before["learn_from"])
