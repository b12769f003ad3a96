from math import log, sqrt

import numpy as np
import pytest

from builders import KnownView, make_exploration
from laserve.bandit.policies.averages import UCB1, EpsilonGreedy

X = np.ones(1)
ARMS = ["a", "b", "c"]


def epsilon_greedy(epsilon: float = 0.0) -> EpsilonGreedy:
    return EpsilonGreedy(exploration=make_exploration(epsilon))


def ucb1(epsilon: float = 0.0) -> UCB1:
    return UCB1(exploration=make_exploration(epsilon))


@pytest.mark.parametrize("policy", [epsilon_greedy(), ucb1()])
def test_arms_that_nothing_is_known_of_come_first_and_share(policy: EpsilonGreedy | UCB1) -> None:
    view = KnownView(count={"a": 5.0, "b": 1e-12}, average={"a": 1.0, "b": 0.0})
    assert policy.probabilities(view, X, ARMS, 0).tolist() == [0.0, 0.5, 0.5]


@pytest.mark.parametrize("policy", [epsilon_greedy(), ucb1()])
def test_arms_of_which_the_same_is_known_share(policy: EpsilonGreedy | UCB1) -> None:
    view = KnownView(count=dict.fromkeys(ARMS, 3.0), average={"a": 0.5, "b": 0.5, "c": 0.2})
    assert policy.probabilities(view, X, ARMS, 0).tolist() == [0.5, 0.5, 0.0]


def test_epsilon_greedy_plays_the_largest_average_whatever_the_counts() -> None:
    view = KnownView(count={"a": 1000.0, "b": 1.0, "c": 9.0}, average={"a": 0.5, "b": 0.4, "c": 0.6})
    np.testing.assert_allclose(epsilon_greedy(0.3).probabilities(view, X, ARMS, 0), [0.1, 0.1, 0.8])


@pytest.mark.parametrize(("count", "chosen"), [(11.0, "a"), (10.0, "b")])
def test_ucb1_plays_the_largest_upper_bound(count: float, chosen: str) -> None:
    view = KnownView(count={"a": 90.0, "b": count}, average={"a": 0.9, "b": 0.3})
    bounds = {arm: view.average[arm] + sqrt(2 * log(90 + count) / view.count[arm]) for arm in ("a", "b")}
    assert max(bounds, key=bounds.__getitem__) == chosen
    assert ucb1().probabilities(view, X, ["a", "b"], 0).tolist() == [chosen == "a", chosen == "b"]


def test_ucb1_counts_the_eligible_arms_alone() -> None:
    # With the many rewards of c in the sum, b would have the largest bound.
    view = KnownView(count={"a": 90.0, "b": 11.0, "c": 1e6}, average={"a": 0.9, "b": 0.3})
    assert ucb1().probabilities(view, X, ["a", "b"], 0).tolist() == [1.0, 0.0]


def test_ucb1_has_no_bonus_while_less_than_one_reward_is_left() -> None:
    view = KnownView(count={"a": 0.2, "b": 0.1}, average={"a": 0.6, "b": 0.5})
    assert ucb1().probabilities(view, X, ["a", "b"], 0).tolist() == [1.0, 0.0]


def test_they_look_at_nothing_of_the_request() -> None:
    view = KnownView(count=dict.fromkeys(ARMS, 3.0), average={"b": 0.5})
    for policy in (epsilon_greedy(0.1), ucb1(0.1)):
        chances = [policy.probabilities(view, x, ARMS, 0).tolist() for x in (X, -9 * X, np.zeros(4))]
        assert chances[0] == chances[1] == chances[2]
