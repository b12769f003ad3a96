"""LinUCB and LinTS beside two libraries that have them too, at ridge 1 and prior mean 0, which they fix."""

import numpy as np
import pytest
from bayesianbandits import NormalRegressor
from mabwiser.mab import MAB, LearningPolicy

from builders import Script, make_exploration
from laserve.bandit.policies.lints import LinTS
from laserve.bandit.policies.linucb import LinUCB
from laserve.bandit.state.fold import BanditState
from laserve.bandit.state.linear import LinearModel
from laserve.types import Update, Vector

ARMS = ("loglik", "consensus", "relevance")
D, LESSONS, DRAWS = 6, 120, 20_000
ALPHA = 0.7


class Lessons:
    """Lessons for all libraries alike, one reward at a time."""

    def __init__(self) -> None:
        generator = np.random.default_rng(17)
        self.x = np.column_stack([np.ones(LESSONS), generator.normal(size=(LESSONS, D - 1))])
        self.arms = generator.choice(ARMS, LESSONS, p=[0.4, 0.35, 0.25])
        strength = self.x[:, 1:4][np.arange(LESSONS), [ARMS.index(arm) for arm in self.arms]]
        self.rewards = np.clip(0.5 + 0.2 * strength + 0.2 * generator.normal(size=LESSONS), 0, 1)
        self.probes = np.column_stack([np.ones(50), 2 * generator.normal(size=(50, D - 1))])

    def model(self) -> LinearModel:
        script = Script(prior_diagonal=[1.0] * D, prior_mean=[0.0] * D, arms=ARMS)
        model = LinearModel(BanditState())
        model.apply(*script.events)
        for number, (x, arm, reward) in enumerate(zip(self.x, self.arms, self.rewards, strict=True)):
            model.apply(script.teach(str(number), x, [Update(arm=str(arm), reward=float(reward))]))
        return model

    def mabwiser(self, policy: LearningPolicy) -> MAB:
        other = MAB(arms=list(ARMS), learning_policy=policy, seed=3)
        other.fit(self.arms[:1], self.rewards[:1], self.x[:1])
        for row in range(1, LESSONS):
            other.partial_fit(self.arms[row : row + 1], self.rewards[row : row + 1], self.x[row : row + 1])
        return other

    def bayesian(self, arm: str) -> NormalRegressor:
        other = NormalRegressor(alpha=1.0, beta=1.0, random_state=ARMS.index(arm))
        for x, taught, reward in zip(self.x, self.arms, self.rewards, strict=True):
            if taught == arm:
                other.partial_fit(x[None], np.array([reward]))
        return other


@pytest.fixture(scope="module")
def lessons() -> Lessons:
    return Lessons()


def check_shares(observed: Vector, expected: Vector) -> None:
    """Both are shares of this number of draws, shape (K,)."""
    deviation = np.sqrt(expected * (1 - expected) * 2 / DRAWS)
    assert (np.abs(observed - expected) <= 4 * deviation + 1e-3).all()


def test_upper_bounds_are_those_of_mabwiser(lessons: Lessons) -> None:
    model = lessons.model()
    other = lessons.mabwiser(LearningPolicy.LinUCB(alpha=ALPHA, l2_lambda=1.0))
    for x, bounds in zip(lessons.probes, other.predict_expectations(lessons.probes), strict=True):
        ours = model.means(x, ARMS) + ALPHA * model.widths(x, ARMS)
        np.testing.assert_allclose(ours, [bounds[arm] for arm in ARMS], rtol=1e-9)


def test_linucb_chooses_as_mabwiser_does(lessons: Lessons) -> None:
    model = lessons.model()
    policy = LinUCB(alpha=ALPHA, exploration=make_exploration(0.0))
    other = lessons.mabwiser(LearningPolicy.LinUCB(alpha=ALPHA, l2_lambda=1.0))
    chosen = [ARMS[int(policy.probabilities(model, x, ARMS, 0).argmax())] for x in lessons.probes]
    assert chosen == other.predict(lessons.probes)
    assert len(set(chosen)) == len(ARMS)


@pytest.mark.parametrize("arm", ARMS)
def test_the_posterior_is_that_of_bayesianbandits(lessons: Lessons, arm: str) -> None:
    model, other = lessons.model(), lessons.bayesian(arm)
    np.testing.assert_allclose(model.theta(arm), other.coef_, rtol=1e-9, atol=1e-12)
    upper = np.triu(other.cov_inv_)  # the precision's other half is not kept there
    precision = upper + np.triu(upper, 1).T
    for x in lessons.probes:
        width = np.sqrt(x @ np.linalg.solve(precision, x))
        np.testing.assert_allclose(model.widths(x, [arm]), [width], rtol=1e-9)


@pytest.mark.parametrize("probe", [0, 1, 2])
def test_lints_wins_as_often_as_samples_of_bayesianbandits_do(lessons: Lessons, probe: int) -> None:
    x = lessons.probes[probe]
    policy = LinTS(exploration=make_exploration(0.0), scale=1.0, draws=DRAWS)
    ours = policy.probabilities(lessons.model(), x, ARMS, 5)
    sampled = np.column_stack([lessons.bayesian(arm).sample(x[None], size=DRAWS)[:, 0] for arm in ARMS])
    check_shares(np.bincount(sampled.argmax(axis=1), minlength=len(ARMS)) / DRAWS, ours)


@pytest.mark.parametrize("probe", [0, 1, 2])
def test_the_posterior_of_a_reward_is_that_of_mabwiser(lessons: Lessons, probe: int) -> None:
    # Arm by arm: its arms all sample with the same numbers, so how often each wins is not comparable.
    x, model = lessons.probes[probe], lessons.model()
    other = lessons.mabwiser(LearningPolicy.LinTS(alpha=ALPHA, l2_lambda=1.0))
    sampled = other.predict_expectations(np.tile(x, (DRAWS, 1)))
    for arm, mean, width in zip(ARMS, model.means(x, ARMS), model.widths(x, ARMS), strict=True):
        rewards = np.array([row[arm] for row in sampled])
        assert rewards.mean() == pytest.approx(mean, abs=4 * ALPHA * width / np.sqrt(DRAWS))
        assert rewards.std() == pytest.approx(ALPHA * width, rel=4 / np.sqrt(2 * DRAWS))
