"""Many replays side by side learn what each would learn alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from builders import make_arm_event, make_start, make_teaching
from laserve.bandit.state.fold import BanditState
from laserve.bandit.state.linear import LinearModel
from laserve.lab.replay.models import LinearModels
from laserve.types import Update

ARMS = ("a", "b")
RIDGE, MEAN = np.array([1.0, 2.0, 30.0]), np.array([0.5, 0.0, 0.0])


@given(seed=st.integers(0, 1000), steps=st.integers(0, 40), discount=st.sampled_from([1.0, 0.9, 0.3]))
def test_means_and_widths_are_those_of_the_service_s_linear_model(
    seed: int, steps: int, discount: float
) -> None:
    rng = np.random.default_rng(seed)
    ours = LinearModels(replays=3, arms=2, ridge=RIDGE, mean=MEAN, discount=discount)
    theirs = [alone(discount) for _ in range(3)]
    for step in range(steps):
        taught = rng.random((3, 2)) < 0.6
        taught[:, rng.integers(2)] = True
        x, rewards = rng.normal(size=(3, 3)), rng.random((3, 2))
        x[:, 0] = 1.0
        replays, arms = np.nonzero(taught)
        ours.begin_decision()
        ours.learn(replays, arms, x[replays], rewards[replays, arms])
        for index, model in enumerate(theirs):
            updates = [Update(arm=ARMS[k], reward=rewards[index, k]) for k in range(2) if taught[index, k]]
            position = model.state.position + 1
            model.apply(make_teaching(position, x[index], updates, decision_id=str(step), ordinal=step + 1))
    x = rng.normal(size=(3, 3))
    means, widths = ours.predict(x)
    for index, model in enumerate(theirs):
        np.testing.assert_allclose(means[index], model.means(x[index], ARMS), atol=1e-9)
        np.testing.assert_allclose(widths[index], model.widths(x[index], ARMS), atol=1e-9)
        np.testing.assert_allclose(ours.counts[index], model.counts(ARMS), atol=1e-9)
        np.testing.assert_allclose(ours.sums[index], ours.counts[index] * model.averages(ARMS), atol=1e-9)
        np.testing.assert_allclose(ours.evidence, model.evidence)


@given(reward=st.floats(0, 1), n=st.floats(0, 100))
def test_what_an_arm_is_expected_to_earn_counts_as_it_does_in_the_service(reward: float, n: float) -> None:
    ours = LinearModels(replays=2, arms=2, ridge=RIDGE, mean=MEAN)
    ours.add_prior(1, reward, n)
    state = BanditState()
    state.apply(make_start(prior_diagonal=RIDGE.tolist()))
    for index, arm in enumerate(ARMS):
        state.apply(make_arm_event(2 + index, arm, MEAN))
    state.arms["b"].expect(reward, n)
    theirs, x = LinearModel(state), np.array([1.0, 0.5, -2.0])
    means, widths = ours.predict(np.tile(x, (2, 1)))
    np.testing.assert_allclose(means, np.tile(theirs.means(x, ARMS), (2, 1)), atol=1e-9)
    np.testing.assert_allclose(widths, np.tile(theirs.widths(x, ARMS), (2, 1)), atol=1e-9)
    np.testing.assert_allclose(ours.counts[0], theirs.counts(ARMS), atol=1e-9)
    np.testing.assert_allclose(ours.sums[0, 1], n * reward)


def alone(discount: float) -> LinearModel:
    model = LinearModel(BanditState())
    model.apply(make_start(prior_diagonal=RIDGE.tolist(), discount=discount))
    for index, arm in enumerate(ARMS):
        model.apply(make_arm_event(2 + index, arm, MEAN))
    return model


def test_rounding_does_not_pile_up_over_thousands_of_steps() -> None:
    rng = np.random.default_rng(0)
    ours = LinearModels(replays=1, arms=1, ridge=RIDGE, mean=MEAN)
    xs, rewards = rng.normal(size=(5000, 3)), rng.random(5000)
    zero = np.zeros(1, dtype=np.intp)
    for x, reward in zip(xs, rewards, strict=True):
        ours.learn(zero, zero, x[None], np.array([reward]))
    theta = np.linalg.solve(np.diag(RIDGE) + xs.T @ xs, RIDGE * MEAN + xs.T @ rewards)
    x = rng.normal(size=(1, 3))
    np.testing.assert_allclose(ours.predict(x)[0][0, 0], x[0] @ theta, atol=1e-10)
