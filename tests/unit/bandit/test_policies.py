"""What every policy owes: a distribution over the eligible arms, and draws that follow it."""

from collections.abc import Sequence

import numpy as np
import pytest

from builders import Script
from laserve.bandit.base import Policy, draw, uniform
from laserve.bandit.baselines import FixedArm, RandomArm
from laserve.bandit.linear import LinearModel
from laserve.bandit.linucb import LinUCB
from laserve.bandit.state import BanditState
from laserve.types import Update

ARMS = ("loglik", "consensus", "relevance", "judge")
DRAWS = 20_000
POLICIES: list[Policy] = [
    LinUCB(alpha=1.0, epsilon=0.1, epsilon_start=0.4, epsilon_start_decisions=10),
    LinUCB(alpha=0.0, epsilon=0.0, epsilon_start=0.0, epsilon_start_decisions=0),
    RandomArm(),
    FixedArm("consensus"),
]


def model(lessons: int) -> LinearModel:
    script = Script(prior_diagonal=[1.0, 1.0, 30.0], prior_mean=[0.5, 0.0, 0.0], arms=ARMS)
    generator = np.random.default_rng(11)
    for number in range(lessons):
        update = Update(arm=ARMS[number % len(ARMS)], reward=float(generator.random()))
        script.teach(str(number), np.array([1.0, *generator.normal(size=2)]), [update])
    made = LinearModel(BanditState())
    for event in script.events:
        made.apply(event)
    return made


@pytest.mark.parametrize("lessons", [0, 6, 40])
@pytest.mark.parametrize("arms", [ARMS, ARMS[:2], ("consensus",)], ids=["all", "two", "one"])
@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_probabilities_are_a_distribution_over_the_eligible_arms(
    policy: Policy, arms: Sequence[str], lessons: int
) -> None:
    chances = policy.probabilities(model(lessons), np.array([1.0, 0.3, -0.7]), arms)
    assert chances.shape == (len(arms),)
    assert chances.dtype == np.float64
    assert (chances >= 0).all()
    assert chances.sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_the_propensity_is_the_frequency_of_the_draw(policy: Policy) -> None:
    chances = policy.probabilities(model(6), np.array([1.0, 0.3, -0.7]), ARMS)
    drawn = [draw(chances, uniform(0, f"decision-{number}")) for number in range(DRAWS)]
    frequencies = np.bincount(drawn, minlength=len(ARMS)) / DRAWS
    # Four standard deviations of a binomial share; an arm without a chance has none to deviate by.
    tolerance = 4 * np.sqrt(chances * (1 - chances) / DRAWS) + 1e-12
    assert (np.abs(frequencies - chances) <= tolerance).all()


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_choosing_changes_nothing(policy: Policy) -> None:
    view, x = model(6), np.array([1.0, 0.3, -0.7])
    before = view.state.digest()
    first = policy.probabilities(view, x, ARMS)
    np.testing.assert_array_equal(policy.probabilities(view, x, ARMS), first)
    assert view.state.digest() == before
