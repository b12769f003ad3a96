from math import sqrt

import numpy as np
import pytest

from builders import KnownView, make_exploration
from laserve.bandit.policies.squarecb import SquareCB

X = np.ones(1)
ARMS = ["a", "b", "c"]


def squarecb(*, gap_scale: float = 1.0, epsilon: float = 0.0) -> SquareCB:
    return SquareCB(exploration=make_exploration(epsilon), gap_scale=gap_scale)


@pytest.mark.parametrize("decisions", [1, 10, 1000])
def test_chances_are_inverse_to_the_gap_and_the_best_takes_the_rest(decisions: int) -> None:
    view = KnownView(mean={"a": 0.9, "b": 0.7, "c": 0.4}, decisions=decisions)
    gamma = 2.0 * sqrt(3 * decisions)
    behind = [1 / (3 + gamma * 0.2), 1 / (3 + gamma * 0.5)]
    chances = squarecb(gap_scale=2.0).probabilities(view, X, ARMS, 0)
    np.testing.assert_allclose(chances, [1 - sum(behind), *behind])


def test_arms_that_tie_for_the_best_share_the_rest() -> None:
    view = KnownView(mean={"a": 0.9, "b": 0.9, "c": 0.4}, decisions=12)
    behind = 1 / (3 + sqrt(3 * 12) * 0.5)
    chances = squarecb().probabilities(view, X, ARMS, 0)
    np.testing.assert_allclose(chances, [(1 - behind) / 2, (1 - behind) / 2, behind])


def test_arms_that_all_tie_have_the_same_chance() -> None:
    assert squarecb().probabilities(KnownView(decisions=99), X, ARMS, 0).tolist() == [1 / 3] * 3


def test_before_anything_was_learned_gamma_is_that_of_one_decision() -> None:
    views = [KnownView(mean={"a": 0.9}, decisions=decisions) for decisions in (0, 1)]
    first, second = (squarecb().probabilities(view, X, ARMS, 0).tolist() for view in views)
    assert first == second


def test_what_a_discount_has_worn_makes_it_explore_more() -> None:
    whole, worn = KnownView(mean={"a": 0.9}, decisions=900), KnownView(mean={"a": 0.9}, decisions=900, worn=9)
    best = [squarecb().probabilities(view, X, ARMS, 0)[0] for view in (whole, worn)]
    assert best[0] > best[1]
    assert best[1] == squarecb().probabilities(KnownView(mean={"a": 0.9}, decisions=9), X, ARMS, 0)[0]


def test_it_is_mixed_with_uniform_draws() -> None:
    view = KnownView(mean={"a": 0.9, "b": 0.7}, decisions=10)
    by_itself, mixed = (squarecb(epsilon=e).probabilities(view, X, ["a", "b"], 0) for e in (0.0, 0.2))
    np.testing.assert_allclose(mixed, 0.8 * by_itself + 0.1)
