"""`POST /feedback`: recorded once, learned as configured, corrected on request."""

from typing import Any

import pytest

from acceptance.wire import Service
from laserve import textmetrics
from laserve.api.bodies.answers import ErrorBody, FeedbackAnswer

KINDS = ("reward", "thumb", "chosen_index", "candidate_rewards", "references")
UNKNOWN = "0199c0de-0000-7000-8000-000000000000"


def other_text(decision: dict[str, Any]) -> int:
    """Index of a candidate that reads differently from the returned one."""
    return next(i for i, c in enumerate(decision["candidates"]) if c["text"] != decision["text"])


def same_text(decision: dict[str, Any]) -> int:
    """Index of a candidate that reads like the returned one, and is not it."""
    return next(
        i
        for i, c in enumerate(decision["candidates"])
        if c["text"] == decision["text"] and i != decision["index"]
    )


def partly(decision: dict[str, Any]) -> list[str]:
    """References that share some words with the returned answer."""
    return [f"{decision['text']} beyond all doubt", "unheard of"]


#: Name -> the feedback on a decision, and the reward it gives the returned answer.
SAID: dict[str, Any] = {
    "reward": lambda d: ({"reward": 0.25}, 0.25),
    "reward-0": lambda d: ({"reward": 0}, 0.0),
    "thumb-up": lambda d: ({"thumb": "up"}, 1.0),
    "thumb-down": lambda d: ({"thumb": "down"}, 0.0),
    "thumb-1": lambda d: ({"thumb": 1}, 1.0),
    "thumb-0": lambda d: ({"thumb": 0}, 0.0),
    "chosen_index-returned": lambda d: ({"chosen_index": d["index"]}, 1.0),
    "chosen_index-other": lambda d: ({"chosen_index": other_text(d)}, 0.0),
    "chosen_index-equal-text": lambda d: ({"chosen_index": same_text(d)}, 1.0),
    "candidate_rewards": lambda d: (
        {"candidate_rewards": [i / 8 for i in range(len(d["candidates"]))]},
        d["index"] / 8,
    ),
    "references-right": lambda d: ({"references": ["unheard of", d["text"].upper() + "!"]}, 1.0),
    "references-wrong": lambda d: ({"references": ["unheard of"]}, 0.0),
    "references-f1": lambda d: (
        {"references": partly(d)},
        textmetrics.best("f1", d["text"], partly(d)),
    ),
    "references-f1-named": lambda d: (
        {"references": partly(d), "metric": "f1"},
        textmetrics.best("f1", d["text"], partly(d)),
    ),
    "references-exact_match": lambda d: ({"references": partly(d), "metric": "exact_match"}, 0.0),
    "references-rouge_l": lambda d: (
        {"references": [" ".join(reversed(d["text"].split()))], "metric": "rouge_l"},
        textmetrics.rouge_l(d["text"], " ".join(reversed(d["text"].split()))),
    ),
}


def kind_of(name: str) -> str:
    return name.partition("-")[0]


@pytest.mark.parametrize("name", SAID)
def test_feedback_is_recorded_once_and_its_repeat_is_a_duplicate(
    learners: dict[str, Service], name: str
) -> None:
    service, kind = learners[kind_of(name)], kind_of(name)
    # At this temperature the fake samples some equal texts, which `chosen_index` must treat alike.
    decision = service.generate(n=8, temperature=0.5, policy="fixed:loglik")
    body, reward = SAID[name](decision)
    position = service.policy()["log_position"]

    with service.watching() as change:
        first = service.feedback(decision["decision_id"], **body)
    assert first.status_code == 200, first.text
    FeedbackAnswer.model_validate_json(first.content, strict=True)
    assert first.json() == {"status": "recorded", "learned": True, "reward": pytest.approx(reward)}
    after = service.policy()
    assert after["log_position"] == position + 1
    assert change("laserve_feedback_total", kind=kind, outcome="recorded") == 1

    with service.watching() as change:
        second = service.rate(decision["decision_id"], **body)
    assert second == first.json() | {"status": "duplicate"}
    assert service.policy() == after
    assert change("laserve_feedback_total", kind=kind, outcome="recorded") == 0
    assert change("laserve_feedback_total", kind=kind, outcome="duplicate") == 1
    assert change("laserve_events_position") == 0


@pytest.mark.parametrize("kind", KINDS)
def test_every_arm_whose_choice_the_feedback_speaks_of_learns_from_it(
    learners: dict[str, Service], kind: str
) -> None:
    service = learners[kind]
    decision = service.generate(n=4, policy="fixed:loglik")
    choices = service.decision(decision["decision_id"])["choices"]
    assert set(choices) == {"loglik", "consensus"}  # the free arm scores every request as well
    body = {
        "reward": {"reward": 1},
        "thumb": {"thumb": "up"},
        "chosen_index": {"chosen_index": decision["index"]},
        "candidate_rewards": {"candidate_rewards": [0.5] * 4},
        "references": {"references": [decision["text"]]},
    }[kind]
    before = {arm["name"]: arm for arm in service.policy()["arms"]}
    assert service.rate(decision["decision_id"], **body)["learned"] is True
    after = service.policy()
    learned = {arm["name"] for arm in after["arms"] if arm["updates"] == before[arm["name"]]["updates"] + 1}
    assert learned == ({"loglik"} if kind in ("reward", "thumb") else set(choices))
    pulled = {arm["name"] for arm in after["arms"] if arm["pulls"] == before[arm["name"]]["pulls"] + 1}
    assert pulled == {"loglik"}
    assert after["learn_from"] == kind


def test_what_is_learned_moves_the_prediction_towards_the_reward(main: Service) -> None:
    def mean() -> float:
        answer = main.generate(prompt="towards the reward", policy="fixed:relevance")
        (why,) = (why for why in answer["why"] if why["arm"] == "relevance")
        main.rate(answer["decision_id"], reward=0)
        return why["mean"]

    first, second, third = (mean() for _ in range(3))
    # Whatever the service has been taught before, reward 0 draws the prediction at this x towards 0.
    assert abs(first) > abs(second) > abs(third)


def test_an_integer_thumb_is_the_same_thumb(learners: dict[str, Service]) -> None:
    service = learners["thumb"]
    decision_id = service.decide()
    assert service.rate(decision_id, thumb="up")["status"] == "recorded"
    assert service.rate(decision_id, thumb=1)["status"] == "duplicate"


def test_another_body_under_the_same_identity_is_a_conflict_that_shows_the_stored_one(main: Service) -> None:
    decision_id = main.decide()
    main.rate(decision_id, reward=0.2, source="rater")
    before = main.policy()
    with main.watching() as change:
        answer = main.feedback(decision_id, reward=0.3, source="rater")
    assert answer.status_code == 409
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "idempotency_conflict")
    assert error["stored"] == {"decision_id": decision_id, "reward": 0.2, "source": "rater"}
    assert "Idempotency-Key" in error["message"]
    assert main.policy() == before
    assert change("laserve_feedback_total", kind="reward", outcome="conflict") == 1
    assert len(main.decision(decision_id)["feedback"]) == 1


def test_the_metric_is_a_part_of_what_was_said(main: Service) -> None:
    decision_id = main.decide()
    main.rate(decision_id, references=["north"])
    assert main.rate(decision_id, references=["north"], metric="f1")["status"] == "duplicate"
    assert main.feedback(decision_id, references=["north"], metric="rouge_l").status_code == 409


def test_sources_are_apart_from_each_other(main: Service) -> None:
    decision_id = main.decide()
    assert main.rate(decision_id, reward=0.2, source="ann")["status"] == "recorded"
    assert main.rate(decision_id, reward=0.3, source="ben")["status"] == "recorded"
    assert main.rate(decision_id, reward=0.2, source="ann")["status"] == "duplicate"


def test_an_idempotency_key_makes_a_repeat_a_duplicate(main: Service) -> None:
    decision_id = main.decide()
    assert main.rate(decision_id, key="repeat", reward=0.2)["status"] == "recorded"
    position = main.policy()["log_position"]
    assert main.rate(decision_id, key="repeat", reward=0.2)["status"] == "duplicate"
    assert main.policy()["log_position"] == position


def test_an_idempotency_key_is_an_identity_of_its_own(main: Service) -> None:
    decision_id = main.decide()
    assert main.rate(decision_id, reward=0.2)["status"] == "recorded"
    assert main.rate(decision_id, key="own", reward=0.2)["status"] == "recorded"


def test_an_idempotency_key_covers_all_decisions(main: Service) -> None:
    first, second = main.decide(), main.decide()
    main.rate(first, key="all", reward=0.2)
    answer = main.feedback(second, key="all", reward=0.2)
    assert answer.status_code == 409
    assert answer.json()["error"]["stored"]["decision_id"] == first
    assert main.decision(second)["feedback"] == []


def test_an_idempotency_key_stays_taken_when_its_decision_is_deleted(main: Service) -> None:
    first, second = main.decide(), main.decide()
    main.rate(first, key="taken", reward=1)
    assert main.client.delete(f"/decisions/{first}").status_code == 204
    # The text it came with is gone, and yet it was about another decision: nothing may be acknowledged.
    answer = main.feedback(second, key="taken", reward=0)
    assert answer.status_code == 409, answer.text
    assert main.decision(second)["feedback"] == []


def test_a_longest_idempotency_key_is_taken(main: Service) -> None:
    assert main.rate(main.decide(), key="k" * 255, reward=1)["status"] == "recorded"


def test_a_kind_that_does_not_teach_is_stored_without_learning(main: Service) -> None:
    decision = main.generate()
    main.rate(decision["decision_id"], reward=0.5)
    before = main.policy()
    assert before["learn_from"] == "reward"
    answer = main.rate(decision["decision_id"], thumb="down")
    assert answer == {"status": "recorded", "learned": False, "reward": 0.0}
    after = main.policy()
    assert after["log_position"] == before["log_position"] + 1
    assert (after["arms"], after["decisions"]) == (before["arms"], before["decisions"])
    rows = main.decision(decision["decision_id"])["feedback"]
    assert [(row["learned"], row["reward"]) for row in rows] == [(True, 0.5), (False, 0.0)]
    assert [row["position"] for row in rows] == [before["log_position"], after["log_position"]]


def test_a_correction_replaces_what_was_learned_before(corrected: Service, straight: Service) -> None:
    assert corrected.policy()["learn_from"] is None  # the first feedback that teaches settles the kind
    final = [[0.0, 1.0, 0.25, 0.5], [1.0, 0.0, 0.0, 0.75], [0.1, 0.2, 0.3, 0.4]]
    for index, rewards in enumerate(final):
        # A fixed arm draws alike on both servers, and still teaches.
        body = {"prompt": f"river number {index}", "n": 4, "policy": "fixed:relevance", "task": "chat"}
        first, second = corrected.decide(**body), straight.decide(**body)
        assert corrected.rate(first, candidate_rewards=[0.9, 0.8, 0.7, 0.6])["learned"] is True
        for key, values in (("a", rewards[::-1]), ("b", rewards)):
            answer = corrected.rate(first, key=f"{index}{key}", candidate_rewards=values)
            assert (answer["status"], answer["learned"]) == ("recorded", True)
        assert straight.rate(second, candidate_rewards=rewards)["learned"] is True
    ours, theirs = corrected.policy(), straight.policy()
    assert ours["log_position"] == theirs["log_position"] + 2 * len(final)
    assert ours["learn_from"] == theirs["learn_from"] == "candidate_rewards"
    assert ours["decisions"] == theirs["decisions"] == len(final)
    for arm, other in zip(ours["arms"], theirs["arms"], strict=True):
        assert arm["theta"] == pytest.approx(other["theta"], rel=0, abs=1e-9)
        assert (arm["name"], arm["pulls"], arm["updates"]) == (
            other["name"],
            other["pulls"],
            other["updates"],
        )
        assert arm["mean_reward"] == pytest.approx(other["mean_reward"], rel=0, abs=1e-9)


def test_a_pinned_decision_teaches_nothing(main: Service) -> None:
    decision = main.generate(arm="loglik")
    before = main.policy()
    answer = main.rate(decision["decision_id"], reward=1)
    assert answer == {"status": "recorded", "learned": False, "reward": 1.0}
    after = main.policy()
    assert after["log_position"] == before["log_position"] + 1
    assert (after["arms"], after["decisions"]) == (before["arms"], before["decisions"])


def test_a_decision_by_another_policy_teaches(main: Service) -> None:
    assert main.rate(main.decide(policy="random"), reward=1)["learned"] is True
    assert main.rate(main.decide(policy="fixed:consensus"), reward=1)["learned"] is True


def test_feedback_on_an_unknown_decision_is_a_404(main: Service) -> None:
    before = main.policy()
    answer = main.feedback(UNKNOWN, reward=1)
    assert answer.status_code == 404
    error = ErrorBody.model_validate_json(answer.content).error
    assert error.param == "decision_id"
    assert UNKNOWN in error.message
    assert main.policy() == before


def test_feedback_on_a_deleted_decision_is_a_410(main: Service) -> None:
    decision_id = main.decide()
    main.rate(decision_id, reward=1)
    assert main.client.delete(f"/decisions/{decision_id}").status_code == 204
    before = main.policy()
    for body in ({"reward": 1}, {"reward": 0}, {"thumb": "up"}):
        answer = main.feedback(decision_id, **body)
        assert answer.status_code == 410
        assert ErrorBody.model_validate_json(answer.content).error.param == "decision_id"
    assert main.policy() == before


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"chosen_index": 4}, "chosen_index", ["4", "0 to 3"]),
        ({"candidate_rewards": [1, 0, 1]}, "candidate_rewards", ["3 values", "4 candidates"]),
        ({"candidate_rewards": [1, 0, 1, 0, 1]}, "candidate_rewards", ["5 values", "4 candidates"]),
    ],
)
def test_a_value_that_does_not_fit_the_decision_is_refused_by_name(
    main: Service, body: dict[str, Any], param: str, words: list[str]
) -> None:
    decision_id = main.decide(n=4)
    before = main.policy()
    answer = main.feedback(decision_id, **body)
    assert answer.status_code == 422
    error = ErrorBody.model_validate_json(answer.content).error
    assert error.param == param
    assert error.message.startswith(f"{param}: ")
    assert all(word in error.message for word in words)
    assert main.policy() == before
    assert main.decision(decision_id)["feedback"] == []


def test_feedback_is_served_under_v1_as_well(main: Service) -> None:
    decision_id = main.decide()
    body = {"decision_id": decision_id, "reward": 1}
    assert main.client.post("/v1/feedback", json=body).json()["status"] == "recorded"
    assert main.client.post("/feedback", json=body).json()["status"] == "duplicate"
