"""Influence of one source of feedback on the learned state and on the choices."""

from math import sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import KnownView, Script, make_exploration
from laserve.bandit.policies.linucb import LinUCB
from laserve.bandit.policies.registry import learners
from laserve.bandit.policies.squarecb import SquareCB
from laserve.bandit.state.fold import BanditState
from laserve.bandit.state.linear import LinearModel
from laserve.types import Update, Vector

D = 4
ARMS = ("loglik", "consensus", "relevance")
PRIOR = [0.5, 1.0, 1.0, 30.0]
SLACK = 1e-9

FEATURES = st.lists(st.floats(-3, 3, width=32), min_size=D - 1, max_size=D - 1)
VECTORS = FEATURES.map(lambda values: np.array([1.0, *values]))
REWARDS = st.floats(0, 1, width=32)
#: Context and the true reward of a decision, and what the source says instead.
DECISIONS = st.lists(st.tuples(VECTORS, REWARDS, REWARDS), min_size=1, max_size=12)


def model(
    lessons: list[tuple[Vector, float]], arm: str = "loglik", discount: float | None = None
) -> LinearModel:
    script = Script(prior_diagonal=PRIOR, prior_mean=[0.5, 0, 0, 0], arms=ARMS, discount=discount)
    for number, (x, reward) in enumerate(lessons):
        script.teach(str(number), x, [Update(arm=arm, reward=reward)])
    made = LinearModel(BanditState())
    made.apply(*script.events)
    return made


def honest_and_bought(decisions: Any, m: int) -> tuple[LinearModel, LinearModel]:
    """The model of the true rewards, and the model when a source lies about the last m decisions."""
    honest = [(x, reward) for x, reward, _ in decisions]
    bought = [(x, said) for x, _, said in decisions[-m:]]
    return model(honest), model([*honest[:-m], *bought])


@given(decisions=DECISIONS, z=VECTORS, m=st.integers(1, 12))
def test_m_false_rewards_move_a_prediction_by_at_most_the_root_of_m_widths(
    decisions: Any, z: Vector, m: int
) -> None:
    m = min(m, len(decisions))
    honest, bought = honest_and_bought(decisions, m)
    moved = abs(honest.means(z, ["loglik"]) - bought.means(z, ["loglik"]))[0]
    width = honest.widths(z, ["loglik"])[0]
    assert bought.widths(z, ["loglik"])[0] == pytest.approx(width)  # rewards do not change widths
    inverse = np.linalg.inv(np.diag(PRIOR) + honest.state.arms["loglik"].S)
    reach = sum(abs(z @ inverse @ x) for x, _, _ in decisions[-m:])
    assert moved <= reach + SLACK
    assert moved <= sqrt(m) * width + SLACK


@given(decisions=DECISIONS, m=st.integers(1, 12))
def test_m_false_rewards_move_theta_by_at_most_the_root_of_m_over_the_least_ridge(
    decisions: Any, m: int
) -> None:
    m = min(m, len(decisions))
    honest, bought = honest_and_bought(decisions, m)
    moved = np.linalg.norm(honest.theta("loglik") - bought.theta("loglik"))
    assert moved <= sqrt(m / min(PRIOR)) + SLACK


@given(decisions=DECISIONS)
def test_one_decision_moves_the_prediction_at_its_own_context_by_less_than_one(decisions: Any) -> None:
    honest, bought = honest_and_bought(decisions, 1)
    x, true, said = decisions[-1]
    h = float(model([(x, r) for x, r, _ in decisions[:-1]]).widths(x, ["loglik"])[0]) ** 2
    moved = abs(honest.means(x, ["loglik"]) - bought.means(x, ["loglik"]))[0]
    assert moved == pytest.approx(abs(true - said) * h / (1 + h), abs=1e-8)
    assert moved < 1


@given(decisions=DECISIONS, z=VECTORS, m=st.integers(1, 12))
def test_m_decisions_that_should_not_have_been_move_it_by_their_surprise(
    decisions: Any, z: Vector, m: int
) -> None:
    m = min(m, len(decisions))
    lessons = [(x, said) for x, _, said in decisions]
    without, there = model(lessons[:-m]), model(lessons)
    surprise = max(abs(said - without.means(x, ["loglik"])[0]) for x, said in lessons[-m:])
    moved = abs(without.means(z, ["loglik"]) - there.means(z, ["loglik"]))[0]
    assert moved <= sqrt(m) * there.widths(z, ["loglik"])[0] * surprise + SLACK


@given(decisions=DECISIONS, m=st.integers(1, 12))
def test_what_is_said_of_one_arm_moves_no_other(decisions: Any, m: int) -> None:
    honest, bought = honest_and_bought(decisions, min(m, len(decisions)))
    for arm in ("consensus", "relevance"):
        np.testing.assert_array_equal(honest.theta(arm), bought.theta(arm))


def test_who_speaks_a_hundred_times_of_one_decision_has_spoken_once() -> None:
    x = np.array([1.0, 0.5, -0.5, 0.1])
    script = Script(prior_diagonal=PRIOR, prior_mean=[0.5, 0, 0, 0], arms=ARMS, discount=0.9)
    for _ in range(100):
        script.teach("one", x, [Update(arm="loglik", reward=1.0)], propensity=0.5)
    often = LinearModel(BanditState())
    often.apply(*script.events)
    once = model([(x, 1.0)], discount=0.9)
    np.testing.assert_allclose(often.theta("loglik"), once.theta("loglik"), rtol=1e-12)
    assert (often.decisions, often.counts(["loglik"])[0]) == (1, 1.0)
    assert often.losses(["loglik"])[0] == 0.0


def test_with_a_discount_what_was_said_fades_with_every_further_decision() -> None:
    x = np.array([1.0, 0.5, -0.5, 0.1])
    moved = []
    for later in range(0, 40, 10):
        lessons = [(x, 1.0)] + [(x, 0.5)] * later
        bought = [(x, 0.0)] + [(x, 0.5)] * later
        honest, lied = (model(each, discount=0.9) for each in (lessons, bought))
        moved.append(abs(honest.means(x, ["loglik"]) - lied.means(x, ["loglik"]))[0])
    assert moved == sorted(moved, reverse=True)
    assert moved[-1] < 0.9**30


# choices


@given(decisions=DECISIONS, z=VECTORS, m=st.integers(1, 12))
def test_linucb_prefers_the_same_arm_while_its_lead_is_more_than_the_reach(
    decisions: Any, z: Vector, m: int
) -> None:
    m = min(m, len(decisions))
    honest, bought = honest_and_bought(decisions, m)
    bounds = np.sort(honest.means(z, ARMS) + honest.widths(z, ARMS))
    policy = LinUCB(alpha=1.0, exploration=make_exploration(0.1))
    if bounds[-1] - bounds[-2] > sqrt(m) * honest.widths(z, ["loglik"])[0] + SLACK:
        before, after = (policy.probabilities(each, z, ARMS, 0) for each in (honest, bought))
        np.testing.assert_array_equal(before, after)


@given(decisions=DECISIONS, z=VECTORS, epsilon=st.sampled_from([0.02, 0.1, 0.5]))
def test_no_source_moves_the_chances_by_more_than_what_is_not_explored(
    decisions: Any, z: Vector, epsilon: float
) -> None:
    # Total variation; so every arm is still drawn, and the truth comes back with the feedback on it.
    policies = learners(
        exploration=make_exploration(epsilon),
        alpha=1.0,
        posterior_scale=0.3,
        posterior_draws=20,
        gap_scale=9.0,
    )
    honest, bought = honest_and_bought(decisions, len(decisions))
    for policy in policies:
        before, after = (policy.probabilities(each, z, ARMS, 7) for each in (honest, bought))
        assert 0.5 * np.abs(before - after).sum() <= 1 - epsilon + SLACK
        assert (after >= epsilon / len(ARMS) - SLACK).all()


@given(
    means=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    change=st.floats(-1, 1),
    decisions=st.integers(1, 5000),
)
def test_the_chance_of_squarecb_for_an_arm_behind_moves_by_at_most_gamma_over_k_squared_of_its_gap(
    means: list[float], change: float, decisions: int
) -> None:
    policy = SquareCB(exploration=make_exploration(0.0), gap_scale=2.0)
    gamma = 2.0 * sqrt(3 * decisions)
    moved = [means[0] + change, *means[1:]]
    gaps = np.array([np.max(each) - np.array(each) for each in (means, moved)])
    views = [
        KnownView(mean=dict(zip(ARMS, each, strict=True)), decisions=decisions) for each in (means, moved)
    ]
    before, after = (policy.probabilities(view, np.ones(1), ARMS, 0) for view in views)
    behind = (gaps > 0).all(axis=0)
    limit = gamma * np.abs(gaps[0] - gaps[1]) / 9
    assert (np.abs(before - after)[behind] <= limit[behind] + SLACK).all()


@given(
    losses=st.lists(st.floats(0, 500), min_size=3, max_size=3), reward=REWARDS, decisions=st.integers(0, 5000)
)
def test_one_decision_moves_the_odds_of_exp3_by_at_most_its_rate_over_the_propensity(
    losses: list[float], reward: float, decisions: int
) -> None:
    epsilon = 0.1
    policy = next(
        policy
        for policy in learners(
            exploration=make_exploration(epsilon), alpha=1, posterior_scale=1, posterior_draws=1, gap_scale=1
        )
        if policy.name == "exp3"
    )
    view = KnownView(loss=dict(zip(ARMS, losses, strict=True)), decisions=decisions)
    before = policy.probabilities(view, np.ones(1), ARMS, 0)
    loss = (1 - reward) / before[0]
    assert loss <= len(ARMS) / epsilon + SLACK
    after = policy.probabilities(
        KnownView(loss=dict(view.loss) | {ARMS[0]: losses[0] + loss}, decisions=decisions),
        np.ones(1),
        ARMS,
        0,
    )
    eta = sqrt(np.log(3) / (3 * (decisions + 1)))
    by_itself = (np.array([before, after]) - epsilon / 3) / (1 - epsilon)
    if (by_itself > 1e-6).all():
        odds = by_itself[:, 0] / by_itself[:, 1]
        assert odds[0] / odds[1] <= np.exp(eta * loss) * (1 + 1e-6)
