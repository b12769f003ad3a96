from math import exp, log, sqrt

import numpy as np
import pytest

from builders import KnownView, make_exploration
from laserve.bandit.policies.exp3 import Exp3

X = np.ones(1)
ARMS = ["a", "b", "c"]


def exp3(epsilon: float = 0.0) -> Exp3:
    return Exp3(exploration=make_exploration(epsilon))


@pytest.mark.parametrize("decisions", [0, 1, 500])
def test_chances_fall_exponentially_with_the_losses_at_the_anytime_rate(decisions: int) -> None:
    view = KnownView(loss={"a": 3.0, "b": 5.5, "c": 40.0}, decisions=decisions)
    eta = sqrt(log(3) / (3 * (decisions + 1)))
    weights = np.array([exp(-eta * view.loss[arm]) for arm in ARMS])
    np.testing.assert_allclose(exp3().probabilities(view, X, ARMS, 0), weights / weights.sum(), rtol=1e-12)


def test_the_rate_settles_where_a_discount_lets_the_losses_settle() -> None:
    view = KnownView(loss={"a": 3.0}, decisions=10**6, worn=99.0)
    young = KnownView(loss={"a": 3.0}, decisions=99)
    assert exp3().probabilities(view, X, ARMS, 0).tolist() == exp3().probabilities(young, X, ARMS, 0).tolist()


def test_arms_with_the_same_losses_have_the_same_chance() -> None:
    view = KnownView(loss=dict.fromkeys(ARMS, 77.0), decisions=5)
    assert exp3(0.1).probabilities(view, X, ARMS, 0).tolist() == pytest.approx([1 / 3] * 3)


def test_large_losses_do_no_harm_to_the_arithmetic() -> None:
    view = KnownView(loss={"a": 1e9, "b": 1e9 + 1, "c": 2e9})
    chances = exp3().probabilities(view, X, ARMS, 0)
    assert np.isfinite(chances).all()
    assert chances[0] > chances[1] > chances[2] == 0


def test_one_arm_alone_is_drawn() -> None:
    assert exp3().probabilities(KnownView(loss={"a": 9.0}, decisions=3), X, ["a"], 0).tolist() == [1.0]


def test_an_arm_without_a_chance_has_its_part_of_epsilon() -> None:
    view = KnownView(loss={"b": 1e9, "c": 1e9}, decisions=1)
    np.testing.assert_allclose(exp3(0.3).probabilities(view, X, ARMS, 0), [0.8, 0.1, 0.1])
