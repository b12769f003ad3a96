"""Rates of feedback, and the value of a policy where some decisions have no feedback."""

import itertools

import numpy as np
import pytest

from laserve.bandit.offpolicy.estimators import (
    SNIPS,
    CannotSay,
    Estimate,
    answer_rates,
    evaluate,
    value_when_answered,
)
from laserve.errors import InvalidRequest
from offpolicy_logs import always, changed, make_log, sample_log


def test_under_uniform_logging_the_rate_of_an_arm_is_the_share_of_its_own_decisions_answered() -> None:
    log, _ = sample_log(rows=2000, epsilon=1.0, shadow_share=0.0)
    answered = np.random.default_rng(3).random(2000) < 0.2 + 0.2 * log.drawn
    rates = answer_rates(log, answered)
    assert list(rates) == list(log.arms)
    for index, rate in enumerate(rates.values()):
        assert isinstance(rate, Estimate)
        assert rate.value == pytest.approx(answered[log.drawn == index].mean())
        assert rate.low < 0.2 + 0.2 * index < rate.high


def test_rates_are_those_over_all_requests_not_over_those_an_arm_was_drawn_for() -> None:
    # Half of the requests are answered whatever happens, and only these are mostly the first arm's.
    easy = np.tile([True, False], 2000)
    logged = np.where(easy[:, None], [0.8, 0.2], [0.2, 0.8])
    drawn = (np.random.default_rng(4).random(4000) >= logged[:, 0]).astype(int)
    log = make_log(
        arms=("a", "b"),
        x=np.ones((4000, 1)),
        drawn=drawn,
        logged=logged,
        reward=np.zeros(4000),
        winners=np.full((4000, 2), -1),
        returned=np.zeros(4000, dtype=int),
        shadowed=np.zeros(4000, dtype=bool),
        clusters=np.arange(4000),
    )
    assert easy[drawn == 0].mean() > 0.75
    for rate in answer_rates(log, easy).values():
        assert isinstance(rate, Estimate)
        assert rate.low < 0.5 < rate.high


def test_an_arm_is_judged_on_the_requests_that_it_could_be_drawn_for() -> None:
    log, _ = sample_log(rows=3000, arms=3, epsilon=1.0, shadow_share=0.0)
    late = np.arange(3000) >= 1500  # the last arm joins then
    kept = late | (log.drawn != 2)
    chances = np.where(late[:, None], log.logged, [0.5, 0.5, 0.0])
    joined = changed(log, logged=chances, drawn=np.where(kept, log.drawn, 0), winners=np.full((3000, 3), -1))
    rates = answer_rates(joined, np.ones(3000, dtype=bool))
    assert [rate.decisions for rate in rates.values()] == [3000, 3000, 1500]
    assert [getattr(rate, "value", None) for rate in rates.values()] == pytest.approx([1.0, 1.0, 1.0])


def test_an_arm_that_could_never_be_drawn_has_no_rate() -> None:
    log = make_log(logged=[[0.5, 0.5, 0.0], [0.9, 0.1, 0.0]])
    assert list(answer_rates(log, np.array([True, False]))) == ["loglik", "consensus"]


def test_a_rate_with_too_little_behind_it_is_refused() -> None:
    rates = answer_rates(make_log(), np.array([True, True]))
    assert all(isinstance(rate, CannotSay) for rate in rates.values())


def test_the_value_when_answered_weighs_answered_rewards_alone() -> None:
    log, target = sample_log(rows=2000, epsilon=0.8)
    answered = np.random.default_rng(5).random(2000) < 0.5
    weights = log.at_drawn(log.ratios(target))
    outcome = value_when_answered(log, target, answered)
    assert isinstance(outcome, Estimate)
    assert outcome.value == pytest.approx((weights * log.reward)[answered].sum() / weights[answered].sum())
    assert outcome.effective_sample == pytest.approx(
        weights[answered].sum() ** 2 / (weights[answered] ** 2).sum()
    )
    assert outcome.decisions == 2000


def test_what_was_not_answered_has_no_say() -> None:
    log, target = sample_log(rows=2000, epsilon=0.8)
    answered = np.random.default_rng(6).random(2000) < 0.5
    other = changed(log, reward=np.where(answered, log.reward, 1.0))
    assert value_when_answered(log, target, answered) == value_when_answered(other, target, answered)


def test_where_everything_is_answered_the_value_is_that_of_snips() -> None:
    log, target = sample_log(rows=1000, epsilon=0.8)
    every = np.ones(1000, dtype=bool)
    assert value_when_answered(log, target, every) == evaluate(log, target, SNIPS())


def test_nothing_answered_tells_nothing_not_even_what_is_missing() -> None:
    log, target = sample_log(rows=1000, epsilon=0.8)
    outcome = value_when_answered(log, target, np.zeros(1000, dtype=bool))
    assert isinstance(outcome, CannotSay)
    assert (outcome.effective_sample, outcome.more_decisions) == (0, None)


def test_over_all_draws_the_answered_rewards_are_the_value_times_the_answers() -> None:
    # One request; the second text is answered rarely, so that answers and rewards depend on the draw.
    target, quality, answers = np.array([[0.2, 0.3, 0.5]]), np.array([0.9, 0.4]), np.array([0.8, 0.1])
    logged, texts = np.array([0.5, 0.3, 0.2]), np.array([0, 1, 0])
    earned = answered = 0.0
    for drawn, shadowed in itertools.product(range(3), (False, True)):
        known = [text if shadowed or arm == drawn else -1 for arm, text in enumerate(texts)]
        log = make_log(
            x=[[1.0]],
            drawn=[drawn],
            logged=[logged],
            reward=[quality[texts[drawn]]],
            winners=[known],
            returned=[texts[drawn]],
            shadowed=[shadowed],
            clusters=[0],
        )
        terms = SNIPS().terms(log, target)
        chance = logged[drawn] * 0.5 * answers[texts[drawn]]
        earned += chance * terms.numerator[0]
        answered += chance * terms.denominator[0]
    wanted = (target[0] * answers[texts] * quality[texts]).sum() / (target[0] * answers[texts]).sum()
    assert earned / answered == pytest.approx(wanted)


@pytest.mark.parametrize("answered", [[True], [1, 0], [[True, False]]])
def test_answers_that_are_no_mask_of_the_decisions_are_refused(answered: list[object]) -> None:
    log = make_log()
    for ask in (
        lambda mask: answer_rates(log, mask),
        lambda mask: value_when_answered(log, always(log, 0), mask),
    ):
        with pytest.raises(InvalidRequest, match="answered: must be a mask of 2 decisions"):
            ask(np.array(answered))
