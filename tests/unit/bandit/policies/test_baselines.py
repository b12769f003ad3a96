import numpy as np
import pytest

from builders import KnownView
from laserve.bandit.policies.baselines import FixedArm, RandomArm, RoundRobin
from laserve.bandit.state.fold import BanditState
from laserve.bandit.state.linear import LinearModel

# Baselines ignore the state, so an empty model suffices.
VIEW = LinearModel(BanditState())
X = np.ones(2)


@pytest.mark.parametrize("k", [1, 2, 3, 7])
def test_the_random_policy_gives_every_arm_the_same_chance(k: int) -> None:
    chances = RandomArm().probabilities(VIEW, X, [str(arm) for arm in range(k)], 0)
    assert chances.tolist() == [1 / k] * k


def test_round_robin_takes_the_eligible_arms_in_turn_by_name() -> None:
    arms = ["c", "a", "b"]
    drawn = [RoundRobin().probabilities(KnownView(turns=turn), X, arms, 0).tolist() for turn in range(5)]
    assert drawn == [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]


def test_round_robin_goes_on_with_the_arms_that_are_left() -> None:
    drawn = [
        RoundRobin().probabilities(KnownView(turns=turn), X, ["c", "a"], 0).tolist() for turn in range(3)
    ]
    assert drawn == [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]


def test_a_fixed_policy_gives_all_to_its_arm_wherever_it_stands() -> None:
    assert FixedArm("b").probabilities(VIEW, X, ["a", "b", "c"], 0).tolist() == [0.0, 1.0, 0.0]
    assert FixedArm("b").probabilities(VIEW, X, ["b"], 0).tolist() == [1.0]


def test_a_fixed_policy_whose_arm_is_not_eligible_can_choose_none() -> None:
    assert FixedArm("b").probabilities(VIEW, X, ["a", "c"], 0).tolist() == [0.0, 0.0]


def test_a_policy_is_called_what_settings_call_it() -> None:
    assert RandomArm().name == "random"
    assert RoundRobin().name == "round-robin"
    assert FixedArm("loglik").name == "fixed:loglik"
