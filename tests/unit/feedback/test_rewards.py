from typing import Any

import pytest

from builders import make_candidates, make_decision, make_feedback
from laserve.errors import InvalidRequest
from laserve.feedback.rewards import RewardRange, candidate_rewards, resolve
from laserve.types import FeedbackKind

#: Candidates a, b, a, c; loglik would return 0, consensus 1, relevance 3. The answer was 0, by loglik.
DECISION = make_decision()


@pytest.mark.parametrize(
    ("kind", "value", "reward", "rewards"),
    [
        ("reward", 0.3, 0.3, {"loglik": 0.3}),
        ("reward", 0, 0.0, {"loglik": 0.0}),
        ("thumb", 1.0, 1.0, {"loglik": 1.0}),
        ("thumb", 0.0, 0.0, {"loglik": 0.0}),
        ("chosen_index", 0, 1.0, {"loglik": 1.0, "consensus": 0.0, "relevance": 0.0}),
        ("chosen_index", 1, 0.0, {"loglik": 0.0, "consensus": 1.0, "relevance": 0.0}),
        ("chosen_index", 2, 1.0, {"loglik": 1.0, "consensus": 0.0, "relevance": 0.0}),  # the same text as 0
        ("chosen_index", 3, 0.0, {"loglik": 0.0, "consensus": 0.0, "relevance": 1.0}),
        ("candidate_rewards", [0.9, 0.5, 0.1, 0.0], 0.9, {"loglik": 0.9, "consensus": 0.5, "relevance": 0.0}),
        ("references", ["b"], 0.0, {"loglik": 0.0, "consensus": 1.0, "relevance": 0.0}),
        ("references", ["c", "b"], 0.0, {"loglik": 0.0, "consensus": 1.0, "relevance": 1.0}),
        ("references", ["b x"], 0.0, {"loglik": 0.0, "consensus": 2 / 3, "relevance": 0.0}),
    ],
)
def test_a_feedback_tells_the_reward_of_every_arm_that_it_speaks_of(
    kind: FeedbackKind, value: Any, reward: float, rewards: dict[str, float]
) -> None:
    resolved = resolve(make_feedback(kind, value), DECISION)
    assert resolved.reward == reward
    assert {update.arm: update.reward for update in resolved.updates} == pytest.approx(rewards)
    assert {update.weight for update in resolved.updates} == {1.0}


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("chosen_index", 4, "chosen_index: 4 is out of range; the decision has 4 candidates, 0 to 3"),
        ("candidate_rewards", [1.0], "candidate_rewards: 1 values; the decision has 4 candidates"),
        ("candidate_rewards", [1.0] * 5, "candidate_rewards: 5 values; the decision has 4 candidates"),
    ],
)
def test_a_value_that_does_not_fit_the_decision_is_refused_with_the_bound(
    kind: FeedbackKind, value: Any, message: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        resolve(make_feedback(kind, value), DECISION)
    assert caught.value.message == message
    assert caught.value.param == kind


@pytest.mark.parametrize(
    ("kind", "value", "reward"),
    [
        ("reward", -2.0, 0.0),
        ("reward", 2.0, 0.5),
        ("reward", 6, 1.0),
        ("candidate_rewards", [0, 6, -2, 4], 0.25),
        # These have no unit of their own.
        ("thumb", 1.0, 1.0),
        ("thumb", 0.0, 0.0),
        ("chosen_index", 0, 1.0),
        ("references", ["a"], 1.0),
    ],
)
def test_rewards_of_another_range_are_learned_in_0_to_1(
    kind: FeedbackKind, value: Any, reward: float
) -> None:
    resolved = resolve(make_feedback(kind, value), DECISION, RewardRange(-2.0, 6.0))
    assert resolved.reward == reward
    assert next(update.reward for update in resolved.updates if update.arm == "loglik") == reward


def test_every_candidate_s_reward_is_in_the_unit_that_is_learned() -> None:
    said = make_feedback("candidate_rewards", [0, 6, -2, 4])
    resolved = resolve(said, DECISION, RewardRange(-2.0, 6.0))
    assert resolved.qualities == (0.25, 1.0, 0.0, 0.75)
    assert candidate_rewards(said, DECISION, RewardRange(-2.0, 6.0)) == [0.25, 1.0, 0.0, 0.75]
    rewards = {update.arm: update.reward for update in resolved.updates}
    assert rewards == {"loglik": 0.25, "consensus": 1.0, "relevance": 0.75}


@pytest.mark.parametrize(
    ("kind", "value", "ends", "message", "param"),
    [
        ("reward", 1.5, (-1, 1), "reward: 1.5 is outside of feedback.reward_range, -1 to 1", "reward"),
        ("reward", -1.25, (-1, 1), "reward: -1.25 is outside of feedback.reward_range, -1 to 1", "reward"),
        ("reward", -0.5, (0, 1), "reward: -0.5 is outside of feedback.reward_range, 0 to 1", "reward"),
        (
            "candidate_rewards",
            [1, 5, 0, 2],
            (1, 5),
            "candidate_rewards.2: 0 is outside of feedback.reward_range, 1 to 5",
            "candidate_rewards.2",
        ),
    ],
)
def test_a_reward_outside_of_the_range_is_refused_with_the_range(
    kind: FeedbackKind, value: Any, ends: tuple[float, float], message: str, param: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        resolve(make_feedback(kind, value), DECISION, RewardRange(*ends))
    assert (caught.value.message, caught.value.param) == (message, param)


@pytest.mark.parametrize("retention", ["hash", "none"])
def test_references_need_the_texts(retention: str) -> None:
    with pytest.raises(InvalidRequest, match=r"storage\.retention is '.*send candidate_rewards") as caught:
        resolve(make_feedback("references", ["b"]), make_decision(retention=retention))
    assert caught.value.param == "references"


@pytest.mark.parametrize("retention", ["hash", "none"])
@pytest.mark.parametrize(
    ("kind", "value"),
    [("reward", 1.0), ("thumb", 1.0), ("chosen_index", 2), ("candidate_rewards", [1.0] * 4)],
)
def test_other_kinds_need_no_texts(kind: FeedbackKind, value: Any, retention: str) -> None:
    kept = make_decision(retention=retention)
    assert resolve(make_feedback(kind, value), kept) == resolve(make_feedback(kind, value), DECISION)


@pytest.mark.parametrize(("metric", "reward"), [("f1", 0.8), ("exact_match", 0.0), ("rouge_l", 0.8)])
def test_references_are_compared_by_the_metric_that_was_asked_for(metric: str, reward: float) -> None:
    decision = make_decision(candidates=make_candidates("x y z", "q"), choices={"loglik": 0})
    resolved = resolve(make_feedback("references", ["x y", "nothing"], metric=metric), decision)
    assert resolved.reward == pytest.approx(reward)


def test_the_returned_answer_counts_not_the_first_one() -> None:
    decision = make_decision(index=3, scored_by="relevance")
    assert resolve(make_feedback("candidate_rewards", [0.1, 0.2, 0.3, 0.4]), decision).reward == 0.4
    (update,) = resolve(make_feedback("reward", 1.0), decision).updates
    assert update.arm == "relevance"


def test_an_arm_taken_in_place_of_the_drawn_one_gets_the_reward() -> None:
    (update,) = resolve(
        make_feedback("thumb", 1.0), make_decision(arm="judge", scored_by="consensus")
    ).updates
    assert update.arm == "consensus"


@pytest.mark.parametrize(
    ("kind", "value"), [("reward", 0.5), ("thumb", 1.0), ("chosen_index", 0), ("references", ["a"])]
)
def test_a_decision_that_no_arm_scored_has_a_reward_but_no_updates(kind: FeedbackKind, value: Any) -> None:
    resolved = resolve(make_feedback(kind, value), make_decision(scored_by=None, choices={}))
    assert resolved.updates == ()
    assert resolved.reward == (0.5 if kind == "reward" else 1.0)


def test_arms_that_chose_equal_texts_earn_the_same() -> None:
    decision = make_decision(choices={"loglik": 0, "consensus": 2})
    rewards = {u.arm: u.reward for u in resolve(make_feedback("chosen_index", 0), decision).updates}
    assert rewards == {"loglik": 1.0, "consensus": 1.0}
