from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import Script
from laserve.bandit import linear
from laserve.bandit.linear import LinearModel
from laserve.bandit.state import BanditState
from laserve.types import Update

D = 4
ARMS = ("loglik", "consensus")
PRIOR = np.array([0.5, 1.0, 1.0, 30.0])
MEAN = np.array([0.5, 0.0, -0.25, 0.0])

VECTORS = st.lists(st.floats(-2, 2, width=32), min_size=D, max_size=D).map(np.array)
UPDATES = st.lists(
    st.builds(
        Update,
        arm=st.sampled_from(ARMS),
        reward=st.floats(0, 1, width=32),
        weight=st.sampled_from([1.0, 0.5, 2.0]),
    ),
    min_size=1,
    max_size=3,  # one arm, both, or an arm twice in one event
)
#: (decision, context, updates); a decision that comes again replaces what it taught before.
LESSONS = st.lists(st.tuples(st.integers(0, 5), VECTORS, UPDATES), min_size=1, max_size=20)


def started() -> tuple[Script, LinearModel]:
    script = Script(prior_diagonal=PRIOR.tolist(), prior_mean=MEAN.tolist(), arms=ARMS)
    model = LinearModel(BanditState())
    for event in script.events:
        model.apply(event)
    return script, model


def check(model: LinearModel, script: Script, probe: np.ndarray) -> None:
    """Theta, means and widths equal the ridge solution of what the log holds now."""
    for arm in ARMS:
        S, b = script.sums(arm, D)
        A = np.diag(PRIOR) + S
        theta = np.linalg.solve(A, PRIOR * MEAN + b)
        np.testing.assert_allclose(model.theta(arm), theta, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(model.means(probe, [arm]), [probe @ theta], rtol=1e-8, atol=1e-10)
        width = np.sqrt(probe @ np.linalg.solve(A, probe))
        np.testing.assert_allclose(model.widths(probe, [arm]), [width], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("refresh", [1, 3, linear.REFRESH])
@given(lessons=LESSONS, probe=VECTORS)
def test_theta_is_the_ridge_solution_after_every_event(
    refresh: int, lessons: list[Any], probe: np.ndarray
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear, "REFRESH", refresh)
        script, model = started()
        check(model, script, probe)
        for number, x, updates in lessons:
            context, _ = script.taught.get(str(number), (x, ()))
            model.apply(script.teach(str(number), context, updates))
            check(model, script, probe)


@settings(max_examples=30)
@given(lessons=LESSONS)
def test_a_model_made_of_a_state_agrees_with_one_that_followed_the_log(lessons: list[Any]) -> None:
    script, model = started()
    for number, (_, x, updates) in enumerate(lessons):
        model.apply(script.teach(str(number), x, updates))
    fresh = LinearModel(model.state)
    assert fresh.decisions == model.decisions == len(lessons)
    for arm in ARMS:
        np.testing.assert_allclose(fresh.theta(arm), model.theta(arm), rtol=1e-8, atol=1e-10)


def test_rounding_errors_are_gone_after_a_refresh() -> None:
    script, model = started()
    generator = np.random.default_rng(5)
    for step in range(1, linear.REFRESH + 4):
        x = generator.normal(size=D)
        update = Update(arm="loglik", reward=float(generator.random()))
        model.apply(script.teach(f"decision-{step}", x, [update]))
        # Solving the closed form at each step would be quadratic in the log; its ends tell enough.
        if step <= 3 or step >= linear.REFRESH - 3:
            check(model, script, x)
        if step == linear.REFRESH:
            np.testing.assert_array_equal(model.theta("loglik"), LinearModel(model.state).theta("loglik"))


def test_an_arm_that_has_learned_nothing_predicts_its_prior() -> None:
    _, model = started()
    x = np.array([1.0, 2.0, 3.0, 4.0])
    np.testing.assert_allclose(model.means(x, ARMS), [x @ MEAN] * 2)
    np.testing.assert_allclose(model.widths(x, ARMS), [np.sqrt((x * x / PRIOR).sum())] * 2)


def test_a_lesson_changes_no_other_arm() -> None:
    script, model = started()
    before = model.theta("consensus").copy()
    model.apply(script.teach("one", np.ones(D), [Update(arm="loglik", reward=1.0)]))
    np.testing.assert_array_equal(model.theta("consensus"), before)


def test_a_lesson_makes_its_arm_surer_where_it_was_taught() -> None:
    script, model = started()
    taught, elsewhere = np.array([1.0, 0, 0, 0]), np.array([0, 1.0, 0, 0])
    before = model.widths(taught, ["loglik"]), model.widths(elsewhere, ["loglik"])
    model.apply(script.teach("one", taught, [Update(arm="loglik", reward=1.0)]))
    assert model.widths(taught, ["loglik"]) < before[0]
    assert model.widths(elsewhere, ["loglik"]) == before[1]


def test_a_correction_back_to_nothing_but_the_prior_is_exact_enough() -> None:
    # Weight zero takes the lesson back whole: the arm must be as it was at its start.
    script, model = started()
    x = np.array([1.0, -1.0, 2.0, 0.5])
    model.apply(script.teach("one", x, [Update(arm="loglik", reward=1.0)]))
    model.apply(script.teach("one", x, [Update(arm="loglik", reward=1.0, weight=0.0)]))
    np.testing.assert_allclose(model.theta("loglik"), MEAN, atol=1e-12)
    check(model, script, x)


def test_means_and_widths_come_in_the_order_of_the_arms_asked() -> None:
    script, model = started()
    x = np.ones(D)
    model.apply(script.teach("one", x, [Update(arm="loglik", reward=1.0)]))
    assert model.means(x, ARMS).tolist() == model.means(x, ARMS[::-1]).tolist()[::-1]
    assert model.widths(x, ARMS).tolist() == model.widths(x, ARMS[::-1]).tolist()[::-1]
    assert model.means(x, ["consensus"]).shape == (1,)
