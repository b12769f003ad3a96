"""What policies are worth and what they cost, question by question."""

import numpy as np
import pytest

from laserve.lab.replay.combining import Combined
from laserve.lab.replay.learning import FULL, PARTIAL, Mode, Run
from laserve.lab.replay.outcomes import Outcomes, outcomes
from laserve.lab.replay.schedule import Schedule
from replay_tables import make_table

REWARDS = [[0.0, 1.0], [0.5, 0.5], [1.0, 0.0], [0.2, 0.4]]
TABLE = make_table(REWARDS, free=np.array([True, False]))
#: Two orders of four questions; the last third is the last position.
SCHEDULE = Schedule(
    orders=np.array([[0, 1, 2, 3], [3, 2, 1, 0]]),
    draws=np.zeros((2, 4)),
    seeds=np.zeros((2, 4), dtype=np.uint64),
    shadowed=np.array([[True, False, False, False], [True, True, True, True]]),
)


def outcomes_of(mode: Mode = PARTIAL, picked: object = ((0, 0, 0, 0), (1, 1, 1, 1))) -> Outcomes:
    return outcomes(TABLE, SCHEDULE, [make_run("learner", mode, picked)])


def make_run(name: str, mode: Mode, picked: object, *, blend: float | None = None) -> Run:
    """A run over `TABLE`, by the index of the arm that it drew at each position of each order.

    Args:
        blend: what the arm that combines earns, where there is one.
    """
    places, rewards, arms = np.array(picked), TABLE.rewards, TABLE.arms
    if blend is not None:
        rewards, arms = np.hstack([rewards, np.full((4, 1), blend)]), (*arms, "blend")
    return Run(name=name, mode=mode, arms=arms, picked=places, rewards=rewards[SCHEDULE.orders, places])


def test_a_learner_s_answers_are_averaged_over_the_orders_by_question() -> None:
    assert outcomes_of()["learner"].whole.reward.tolist() == pytest.approx([0.5, 0.5, 0.5, 0.3])


def test_the_last_third_counts_a_question_where_it_came_late() -> None:
    result = outcomes_of()
    assert result.late.tolist() == [0.5, 0.0, 0.0, 0.5]
    # Question 3 came last in the first order, by the first arm; question 0 in the second, by the second.
    assert result["learner"].late.reward.tolist() == pytest.approx([1.0, 0.0, 0.0, 0.2])


def test_a_random_arm_is_the_mean_and_a_fixed_arm_its_own_answers() -> None:
    result = outcomes_of()
    assert result["random"].whole.reward.tolist() == pytest.approx([0.5, 0.5, 0.5, 0.3])
    assert result["fixed:a"].whole.reward.tolist() == [0.0, 0.5, 1.0, 0.2]
    assert result["fixed:b"].late.reward.tolist() == [1.0, 0.5, 0.0, 0.4]


def test_calls_are_counted_for_the_answer_and_for_learning_and_what_of_them_is_free() -> None:
    partial, full = outcomes_of(PARTIAL)["learner"].whole, outcomes_of(FULL)["learner"].whole
    assert partial.rm_calls.tolist() == full.rm_calls.tolist() == [1, 1, 1, 1]
    assert partial.shadow_calls.tolist() == [0, 0, 0, 0]
    assert full.shadow_calls.tolist() == [1.0, 0.5, 0.5, 0.5]
    # The free arm answered in the first order alone; on shadowed requests it scored in any case.
    assert partial.free_calls.tolist() == [0.5, 0.5, 0.5, 0.5]
    assert full.free_calls.tolist() == [1.0, 1.0, 1.0, 1.0]


def test_where_the_arm_that_combines_was_drawn_all_arms_are_asked_for_the_answer() -> None:
    run = make_run("learner:full", FULL, ((2, 2, 0, 0), (2, 2, 2, 1)), blend=0.8)
    result = outcomes(TABLE, SCHEDULE, [run])["learner:full"].whole
    assert result.reward.tolist() == pytest.approx([0.9, 0.8, 0.9, 0.5])
    assert result.rm_calls.tolist() == [1.5, 2.0, 1.5, 1.5]
    # All requests of the second order are shadowed, and the first question in the first order.
    assert result.shadow_calls.tolist() == [0.5, 0.0, 0.0, 0.0]
    assert result.free_calls.tolist() == [1.0, 1.0, 1.0, 1.0]


def test_ensembles_and_combinations_ask_every_arm_that_has_scores() -> None:
    available = np.array([[True, True], [True, False], [False, True], [True, True]])
    table = make_table(REWARDS, free=np.array([True, False]), available=available)
    blend = Combined(name="blend", rewards=np.array([[0.0, 0.2, 0.4, 0.6], [0.6, 0.4, 0.2, 0.0]]))
    result = outcomes(table, SCHEDULE, [], [blend])
    for name in ("ensemble-mean", "ensemble-rank", "blend"):
        assert result[name].whole.rm_calls.tolist() == [2, 1, 1, 2]
        assert result[name].whole.free_calls.tolist() == [1, 1, 0, 1]
    assert result["blend"].whole.reward.tolist() == pytest.approx([0.0, 0.2, 0.4, 0.6])
    assert result["random"].whole.free_calls.tolist() == [0.5, 1.0, 0.0, 0.5]
    assert result["fixed:a"].whole.free_calls.tolist() == [1.0, 1.0, 0.0, 1.0], "b replaces it once"


def test_policies_are_known_by_name_in_the_order_of_the_report() -> None:
    names = ("random", "fixed:a", "fixed:b", "ensemble-mean", "ensemble-rank", "learner:full")
    run = make_run("learner:full", FULL, ((0, 0, 0, 0), (0, 0, 0, 0)))
    assert outcomes(TABLE, SCHEDULE, [run]).names == names
