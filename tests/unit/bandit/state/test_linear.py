from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import Script
from laserve.bandit.state import linear
from laserve.bandit.state.fold import BanditState
from laserve.bandit.state.linear import LinearModel
from laserve.errors import CorruptLog
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


def started(discount: float | None = None) -> tuple[Script, LinearModel]:
    script = Script(prior_diagonal=PRIOR.tolist(), prior_mean=MEAN.tolist(), arms=ARMS, discount=discount)
    model = LinearModel(BanditState())
    for event in script.events:
        model.apply(event)
    return script, model


def check(model: LinearModel, script: Script, probe: np.ndarray) -> None:
    """Theta, means and widths equal the ridge solution of the present log."""
    for arm in ARMS:
        S, b = script.sums(arm, D)
        A = np.diag(PRIOR) + S
        theta = np.linalg.solve(A, PRIOR * MEAN + b)
        np.testing.assert_allclose(model.theta(arm), theta, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(model.means(probe, [arm]), [probe @ theta], rtol=1e-8, atol=1e-10)
        width = np.sqrt(probe @ np.linalg.solve(A, probe))
        np.testing.assert_allclose(model.widths(probe, [arm]), [width], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    ("refresh", "discount"),
    [(1, None), (3, None), (linear.REFRESH, None), (3, 1.0), (3, 0.999), (3, 0.5)],
)
@given(lessons=LESSONS, probe=VECTORS)
def test_theta_is_the_ridge_solution_after_every_event(
    refresh: int, discount: float | None, lessons: list[Any], probe: np.ndarray
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear, "REFRESH", refresh)
        script, model = started(discount)
        check(model, script, probe)
        for number, x, updates in lessons:
            context, _ = script.taught.get(str(number), (x, ()))
            model.apply(script.teach(str(number), context, updates))
            check(model, script, probe)


@settings(max_examples=50)
@given(
    lessons=LESSONS,
    cuts=st.sets(st.integers(0, 20)),
    discount=st.sampled_from([None, 1.0, 0.9]),
    late=st.integers(0, 20),
)
def test_events_may_come_one_by_one_or_many_at_once(
    lessons: list[Any], cuts: set[int], discount: float | None, late: int
) -> None:
    script, single = started(discount)
    _, batched = started(discount)
    events = []
    for index, (number, x, updates) in enumerate(lessons):
        if index == late:
            events.append(script.join("late", MEAN.tolist()))
        context, _ = script.taught.get(str(number), (x, ()))
        taught = [Update(arm="late", reward=0.5)] if index > late else updates
        events.append(script.teach(str(number), context, taught))
    for event in events:
        single.apply(event)
    ends = sorted({cut for cut in cuts if cut < len(events)} | {0, len(events)})
    for first, last in pairwise(ends):
        batched.apply(*events[first:last])
    assert batched.state.digest() == single.state.digest()
    for arm in single.state.arms:
        np.testing.assert_allclose(batched.theta(arm), single.theta(arm), rtol=1e-8, atol=1e-10)


@settings(max_examples=50)
@given(lessons=LESSONS, first=st.integers(0, 20), discount=st.sampled_from([None, 1.0, 0.9]), probe=VECTORS)
def test_a_model_that_adopts_a_fork_is_the_one_that_folds(
    lessons: list[Any], first: int, discount: float | None, probe: np.ndarray
) -> None:
    script, folding = started(discount)
    _, adopting = started(discount)
    events = []
    for place, (number, x, updates) in enumerate(lessons):
        if place == first:
            events.append(script.join("late", MEAN.tolist()))
        context, _ = script.taught.get(str(number), (x, ()))
        events.append(script.teach(str(number), context, updates))
    for batch in (events[:first], events[first:]):
        fork = adopting.state.fork()
        for event in batch:
            fork.apply(event)
        adopting.adopt(fork, batch)
        folding.apply(*batch)
    assert adopting.state is fork
    assert adopting.state.digest() == folding.state.digest()
    arms = list(folding.state.arms)
    np.testing.assert_array_equal(adopting.means(probe, arms), folding.means(probe, arms))
    np.testing.assert_array_equal(adopting.widths(probe, arms), folding.widths(probe, arms))


def test_with_a_discount_an_arm_is_inverted_once_for_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    script, model = started(0.9)
    events = [script.teach(str(n), np.ones(D), [Update(arm="loglik", reward=1.0)]) for n in range(7)]
    inverted = []
    inverse = np.linalg.inv

    def counting(matrix: np.ndarray) -> np.ndarray:
        inverted.append(matrix)
        return inverse(matrix)

    monkeypatch.setattr(np.linalg, "inv", counting)
    model.apply(*events)
    assert len(inverted) == len(ARMS)
    check(model, script, np.ones(D))
    model.means(np.ones(D), ARMS)
    model.widths(np.ones(D), ARMS)
    assert len(inverted) == len(ARMS)  # a choice inverts nothing


def test_events_before_one_that_does_not_fit_are_learned() -> None:
    script, model = started()
    events = [script.teach(str(n), np.ones(D), [Update(arm="loglik", reward=1.0)]) for n in range(2)]
    with pytest.raises(CorruptLog):
        model.apply(events[0], replace(events[1], position=99))
    fresh = LinearModel(model.state)
    assert model.decisions == 1
    np.testing.assert_allclose(model.theta("loglik"), fresh.theta("loglik"), rtol=1e-12)


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


@pytest.mark.parametrize("d", [3, 7, 64, 65])
def test_arms_that_have_learned_the_same_tie_to_the_last_bit_wherever_they_stand(d: int) -> None:
    generator = np.random.default_rng(2)
    arms = [f"arm-{index}" for index in range(7)]
    script = Script(
        prior_diagonal=generator.uniform(0.5, 3, d), prior_mean=generator.normal(size=d), arms=arms
    )
    model = LinearModel(BanditState())
    model.apply(*script.events)
    for number in range(20):
        updates = [Update(arm=arm, reward=0.3) for arm in arms if arm != "arm-2"]
        model.apply(script.teach(str(number), generator.normal(size=d), updates))
    x = generator.normal(size=d)
    alike = [arm for arm in arms if arm != "arm-2"]
    for names in (arms, alike, alike[::-1], alike[:2]):
        same = [index for index, arm in enumerate(names) if arm != "arm-2"]
        assert len(set(model.means(x, names)[same])) == 1
        assert len(set(model.widths(x, names)[same])) == 1


def test_an_answer_is_not_kept_beyond_what_it_was_asked_for() -> None:
    script, model = started()
    x = np.ones(D)
    first = model.means(x, ARMS).tolist()
    x *= 2.0  # the same array, another context
    assert model.means(x, ARMS).tolist() == [2 * mean for mean in first]
    model.apply(script.teach("one", x, [Update(arm="loglik", reward=1.0)]))
    assert model.means(x, ARMS)[0] != 2 * first[0]


# statistics for policies without a context

REWARDS = st.lists(st.tuples(st.sampled_from(ARMS), st.floats(0, 1)), max_size=20)


@given(rewards=REWARDS, discount=st.sampled_from([None, 1.0, 0.9, 0.25]))
def test_counts_and_averages_weigh_each_reward_as_much_as_it_still_counts(
    rewards: list[tuple[str, float]], discount: float | None
) -> None:
    script, model = started(discount)
    for number, (arm, reward) in enumerate(rewards):
        x = np.array([1.0, number, -number, 0.5])
        model.apply(script.teach(str(number), x, [Update(arm=arm, reward=reward)]))
    gamma = 1.0 if discount is None else discount
    weights = [gamma**age for age in reversed(range(len(rewards)))]
    assert model.evidence == pytest.approx(sum(weights))
    for arm in ARMS:
        known = [(w, reward) for w, (name, reward) in zip(weights, rewards, strict=True) if name == arm]
        count = sum(w for w, _ in known)
        assert model.counts([arm])[0] == pytest.approx(count)
        if count > 1e-6:
            average = sum(w * reward for w, reward in known) / count
            assert model.averages([arm])[0] == pytest.approx(average, abs=1e-9)


def test_an_arm_without_rewards_has_no_average() -> None:
    _, model = started()
    assert model.counts(ARMS).tolist() == [0.0, 0.0]
    assert model.averages(ARMS).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("discount", [None, 0.9])
def test_what_a_correction_took_away_is_no_reward_any_more(discount: float | None) -> None:
    script, model = started(discount)
    x = np.array([1.0, 0.3, 0.2, 0.1])
    for number in range(5):
        model.apply(script.teach(str(number), x, [Update(arm="loglik", reward=0.7)]))
    for number in range(5):
        model.apply(script.teach(str(number), x, [Update(arm="consensus", reward=0.7)]))
    assert model.counts(["loglik"])[0] < 1e-12
    assert model.averages(["loglik"]).tolist() == [0.0]
    assert 0 <= model.averages(["consensus"])[0] <= 1


def test_losses_are_those_of_the_state_in_the_order_asked() -> None:
    script, model = started()
    model.apply(script.teach("one", np.ones(D), [Update(arm="consensus", reward=0.25)], propensity=0.5))
    assert model.losses(ARMS).tolist() == [0.0, 1.5]
    assert model.losses(ARMS[::-1]).tolist() == [1.5, 0.0]
