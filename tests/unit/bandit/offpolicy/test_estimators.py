"""Properties of every estimator, and of each one."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laserve.bandit.offpolicy.estimators import (
    DR,
    ESTIMATORS,
    IPS,
    SNIPS,
    CannotSay,
    ClusterBootstrap,
    Estimate,
    Estimator,
    OffPolicyLog,
    evaluate,
)
from laserve.errors import InvalidRequest
from offpolicy_logs import always, changed, make_log, sample_log

every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)


class Tiny:
    """Two requests in a row with three arms, and a logging policy that learns from the first one's reward."""

    def __init__(self, seed: int, shadow_share: float) -> None:
        generator = np.random.default_rng(seed)
        self.shadow_share = shadow_share
        self.x = generator.normal(size=(3, 2))
        self.winners = generator.integers(2, size=(3, 3))
        self.quality = generator.random((3, 2))
        self.target = generator.dirichlet(np.ones(3), size=3)
        self.first = generator.dirichlet(np.ones(3))

    def chances(self, drawn: tuple[int, ...], rewards: list[float]) -> np.ndarray:
        """The arm drawn last is the likelier to be drawn again, the better its reward was."""
        if not drawn:
            return self.first
        return 0.3 / 3 + 0.7 * (rewards[-1] * np.eye(3)[drawn[-1]] + (1 - rewards[-1]) * self.first)

    def logs(self) -> Iterator[tuple[float, OffPolicyLog]]:
        """Every possible log, with its chance."""
        for drawn in itertools.product(range(3), repeat=3):
            rewards: list[float] = []
            logged: list[np.ndarray] = []
            chance = 1.0
            for row, arm in enumerate(drawn):
                logged.append(self.chances(drawn[:row], rewards))
                chance *= logged[-1][arm]
                rewards.append(self.quality[row, self.winners[row, arm]])
            for shadowed in itertools.product((False, True), repeat=3):
                shown = np.prod([self.shadow_share if row else 1 - self.shadow_share for row in shadowed])
                if shown:
                    yield chance * float(shown), self.log(drawn, logged, rewards, shadowed)

    def log(
        self,
        drawn: tuple[int, ...],
        logged: list[np.ndarray],
        rewards: list[float],
        shadowed: tuple[bool, ...],
    ) -> OffPolicyLog:
        known = np.array(shadowed)[:, None] | (np.arange(3) == np.array(drawn)[:, None])
        return make_log(
            x=self.x,
            drawn=drawn,
            logged=logged,
            reward=rewards,
            winners=np.where(known, self.winners, -1),
            returned=self.winners[np.arange(3), drawn],
            shadowed=shadowed,
            clusters=[0, 1, 2],
        )

    @property
    def value(self) -> float:
        return float((self.target * np.take_along_axis(self.quality, self.winners, axis=1)).sum() / 3)


@every_estimator
@pytest.mark.parametrize("shadow_share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_over_all_draws_of_a_learning_policy_the_numerator_is_the_value_times_the_denominator(
    estimator: Estimator, shadow_share: float, seed: int
) -> None:
    tiny = Tiny(seed, shadow_share)
    off = denominators = 0.0
    for chance, log in tiny.logs():
        terms = estimator.terms(log, tiny.target)
        off += chance * float(terms.numerator.sum() - tiny.value * terms.denominator.sum())
        denominators += chance * float(terms.denominator.sum())
    assert denominators == pytest.approx(3)
    assert off == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("estimator", [IPS(), SNIPS()], ids=["ips", "snips"])
def test_the_logging_policy_itself_is_worth_the_mean_reward(estimator: Estimator) -> None:
    log, _ = sample_log(rows=300)
    outcome = said(evaluate(log, log.logged, estimator))
    assert outcome.value == pytest.approx(log.reward.mean())
    assert outcome.effective_sample == pytest.approx(300)


@every_estimator
def test_an_estimate_lies_in_its_interval_and_tells_what_it_rests_on(estimator: Estimator) -> None:
    log, target = sample_log(rows=800)
    outcome = said(evaluate(log, target, estimator))
    assert 0 <= outcome.low < outcome.value < outcome.high <= 1
    assert (outcome.decisions, outcome.clusters) == (800, len(set(log.clusters.tolist())))
    weights = log.at_drawn(log.ratios(target))
    assert outcome.effective_sample == pytest.approx(weights.sum() ** 2 / (weights**2).sum())


@every_estimator
def test_the_order_of_the_arms_does_not_matter(estimator: Estimator) -> None:
    log, target = sample_log(rows=400)
    order = np.array([2, 0, 3, 1])
    other = changed(
        log, drawn=np.argsort(order)[log.drawn], logged=log.logged[:, order], winners=log.winners[:, order]
    )
    same(evaluate(log, target, estimator), evaluate(other, target[:, order], estimator))


@every_estimator
def test_the_names_of_texts_and_clusters_do_not_matter(estimator: Estimator) -> None:
    log, target = sample_log(rows=400)
    texts = np.array([3, 1, 2, 0])
    other = changed(
        log,
        winners=np.where(log.winners >= 0, texts[log.winners], -1),
        returned=texts[log.returned],
        clusters=np.char.add("article-", np.char.zfill(log.clusters.astype(str), 9)),
    )
    same(evaluate(log, target, estimator), evaluate(other, target, estimator))


@every_estimator
def test_an_arm_that_could_never_be_drawn_does_not_matter(estimator: Estimator) -> None:
    log, target = sample_log(rows=400)
    nobody = np.zeros((400, 1))
    other = OffPolicyLog(
        arms=(*log.arms, "new"),
        x=log.x,
        drawn=log.drawn,
        logged=np.hstack([log.logged, nobody]),
        reward=log.reward,
        winners=np.hstack([log.winners, nobody.astype(int) - 1]),
        returned=log.returned,
        shadowed=log.shadowed,
        clusters=log.clusters,
    )
    same(evaluate(log, target, estimator), evaluate(other, np.hstack([target, nobody]), estimator))


@every_estimator
def test_duplicating_every_row_within_its_cluster_leaves_the_interval(estimator: Estimator) -> None:
    log, target = sample_log(rows=300)
    terms = estimator.terms(log, target)
    twice = ClusterBootstrap(np.repeat(log.clusters, 2))
    np.testing.assert_allclose(
        twice.interval(np.repeat(terms.numerator, 2), np.repeat(terms.denominator, 2)),
        ClusterBootstrap(log.clusters).interval(terms.numerator, terms.denominator),
    )


@every_estimator
def test_the_same_question_has_the_same_answer_with_a_bootstrap_shared_or_not(estimator: Estimator) -> None:
    log, target = sample_log(rows=400)
    bootstrap = ClusterBootstrap(log.clusters)
    first = evaluate(log, target, estimator, bootstrap=bootstrap)
    assert evaluate(log, target, estimator, bootstrap=bootstrap) == first
    assert evaluate(log, target, estimator) == first


@every_estimator
def test_reading_shadowed_rows_text_by_text_narrows_the_interval(estimator: Estimator) -> None:
    log, _ = sample_log(rows=2000, shadow_share=1.0)
    target = always(log, 0)
    blind = changed(log, shadowed=np.zeros(2000, dtype=bool))
    by_text, by_arm = said(evaluate(log, target, estimator)), said(evaluate(blind, target, estimator))
    assert by_text.high - by_text.low < by_arm.high - by_arm.low
    assert by_text.effective_sample > by_arm.effective_sample


@every_estimator
def test_too_small_an_effective_sample_is_refused_with_what_is_missing(estimator: Estimator) -> None:
    log, _ = sample_log(rows=300, shadow_share=0.0)
    target = always(log, 0)
    outcome = evaluate(log, target, estimator)
    assert isinstance(outcome, CannotSay)
    assert outcome.effective_sample < 150
    assert outcome.more_decisions is not None
    again = 1 + -(-outcome.more_decisions // 300)
    more = log.rows(np.tile(np.arange(300), again))
    assert isinstance(evaluate(more, np.tile(target, (again, 1)), estimator), Estimate)
    fewer = log.rows(np.tile(np.arange(300), again - 1))
    assert isinstance(evaluate(fewer, np.tile(target, (again - 1, 1)), estimator), CannotSay)


@every_estimator
def test_heavy_weights_that_were_never_drawn_are_not_forgotten(estimator: Estimator) -> None:
    # In a tenth of the rows the target wants an arm with a logged chance of 1 in 100; none of them has it.
    rare = np.arange(1000) % 10 == 0
    logged = np.where(rare[:, None], [0.99, 0.01, 0.0], [1.0, 0.0, 0.0])
    log = make_log(
        x=np.ones((1000, 1)),
        drawn=np.zeros(1000, dtype=int),
        logged=logged,
        reward=np.tile([0.0, 1.0], 500),
        winners=np.tile([0, -1, -1], (1000, 1)),
        returned=np.zeros(1000, dtype=int),
        shadowed=np.zeros(1000, dtype=bool),
        clusters=np.arange(1000),
    )
    outcome = evaluate(log, np.where(rare[:, None], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]), estimator)
    assert isinstance(outcome, CannotSay)  # (sum w)^2 / sum w^2 is 900
    assert outcome.effective_sample == pytest.approx(1000 / (0.9 + 0.1 * 100))


@every_estimator
def test_a_target_that_was_never_drawn_is_refused_with_a_number_all_the_same(estimator: Estimator) -> None:
    outcome = evaluate(make_log(shadowed=[False, False]), always(make_log(), 2), estimator)
    assert isinstance(outcome, CannotSay)
    assert outcome.effective_sample == 0
    assert outcome.more_decisions == 561  # 150 E[w^2] = 562.5, with w^2 expected to be 1 / 0.2 and 1 / 0.4


@every_estimator
def test_a_bad_target_is_refused_by_every_estimator(estimator: Estimator) -> None:
    with pytest.raises(InvalidRequest, match="target: row 0 does not sum to 1"):
        estimator.terms(make_log(), np.zeros((2, 3)))


@given(level=st.floats(0, 1), seed=st.integers(0, 20))
def test_snips_of_equal_rewards_is_that_reward_without_a_doubt(level: float, seed: int) -> None:
    log, target = sample_log(rows=600, seed=seed, epsilon=0.8)
    outcome = said(evaluate(changed(log, reward=np.full(600, level)), target, SNIPS()))
    assert outcome.value == pytest.approx(level, abs=1e-12)
    assert (outcome.low, outcome.high) == pytest.approx((level, level), abs=1e-12)


def test_dr_hardly_varies_where_its_model_is_right() -> None:
    log, target = sample_log(rows=3000, shadow_share=0.0)
    theta = np.random.default_rng(0).normal(scale=0.05, size=(4, 3))
    q = np.clip(0.5 + log.x @ theta.T, 0, 1)
    exact = changed(log, reward=log.at_drawn(q))
    late = np.arange(3000) >= 300  # by then it has learned
    np.testing.assert_allclose(
        DR(ridge=1e-6).terms(exact, target).numerator[late], (target * q).sum(axis=1)[late], atol=1e-3
    )
    model, blind = said(evaluate(exact, target, DR())), said(evaluate(exact, target, IPS()))
    assert model.high - model.low < 0.25 * (blind.high - blind.low)


@given(cut=st.integers(1, 299))
def test_dr_never_looks_ahead(cut: int) -> None:
    log, target = sample_log(rows=300, seed=1)
    other, _ = sample_log(rows=300, seed=2)
    names = ("x", "drawn", "logged", "reward", "winners", "returned", "shadowed")
    mixed = changed(
        log,
        **{name: np.concatenate([getattr(log, name)[:cut], getattr(other, name)[cut:]]) for name in names},
    )
    np.testing.assert_allclose(
        DR().terms(mixed, target).numerator[:cut], DR().terms(log, target).numerator[:cut], atol=1e-12
    )


def said(outcome: Estimate | CannotSay) -> Estimate:
    assert isinstance(outcome, Estimate), outcome
    return outcome


def same(one: Estimate | CannotSay, other: Estimate | CannotSay) -> None:
    """Equal but for rounding."""
    for name in ("value", "low", "high", "effective_sample", "decisions", "clusters"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-9), name
