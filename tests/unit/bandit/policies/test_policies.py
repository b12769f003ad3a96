"""Properties of every policy: a distribution over the eligible arms, and draws that follow it."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from builders import Script, make_exploration
from laserve.bandit.policies.base import Policy, draw, noise, uniform
from laserve.bandit.policies.baselines import FixedArm
from laserve.bandit.policies.ensembles import Ensemble
from laserve.bandit.policies.registry import Policies, learners
from laserve.bandit.state.fold import BanditState
from laserve.bandit.state.linear import LinearModel
from laserve.eventlog.learner import Learner
from laserve.types import Update

ARMS = ("loglik", "consensus", "relevance", "judge")
PRIOR_MEAN = [0.5, 0.0, 0.0]
X = np.array([1.0, 0.3, -0.7])
IDS = [f"decision-{number}" for number in range(2_500)]


def all_policies(epsilon: float) -> list[Policy]:
    made = learners(
        exploration=make_exploration(epsilon, start=3 * epsilon, until=10),
        alpha=1.0,
        posterior_scale=0.5,
        posterior_draws=30,
        gap_scale=2.0,
    )
    named = Policies(learners=made, arms=lambda: ARMS)
    policies = [named.get(name.replace("ARM", "consensus")) for name in named.names]
    return [policy for policy in policies if not isinstance(policy, Ensemble)]


EXPLORING, GREEDY = all_policies(0.1), all_policies(0.0)
LEARNING = [policy.name for policy in EXPLORING[:7]]
every_policy = pytest.mark.parametrize(
    "policy",
    [*EXPLORING, *GREEDY],
    ids=[f"{policy.name}-{share}" for share in (0.1, 0) for policy in EXPLORING],
)


def script(lessons: int, discount: float | None = None) -> Script:
    """Feedback on all arms in turn, every seventh of it corrected."""
    made = Script(prior_diagonal=[1.0, 1.0, 30.0], prior_mean=PRIOR_MEAN, arms=ARMS, discount=discount)
    generator = np.random.default_rng(11)
    for number in range(lessons):
        x = np.array([1.0, *generator.normal(size=2)])
        for reward in generator.random(2 if number % 7 == 6 else 1).tolist():
            update = Update(arm=ARMS[number % len(ARMS)], reward=reward)
            made.teach(str(number), x, [update], propensity=0.25)
    return made


def model(lessons: int, discount: float | None = None) -> LinearModel:
    made = LinearModel(BanditState())
    made.apply(*script(lessons, discount).events)
    return made


def learner(lessons: int) -> Learner:
    made = Learner(seed=0)
    made.apply(script(lessons).events)
    return made


def check_counts(observed: np.ndarray, chances: np.ndarray) -> None:
    """Counts lie within four standard deviations of their expectation under these chances.

    Args:
        observed: how often each arm was drawn, shape (K,).
        chances: those of each draw, shape (draws, K).
    """
    tolerance = 4 * np.sqrt((chances * (1 - chances)).sum(axis=0)) + 1e-9
    assert (np.abs(observed - chances.sum(axis=0)) <= tolerance).all()


@pytest.mark.parametrize("discount", [None, 0.9])
@pytest.mark.parametrize("lessons", [0, 6, 40])
@pytest.mark.parametrize("arms", [ARMS, ARMS[:2], ("consensus",)], ids=["all", "two", "one"])
@every_policy
def test_probabilities_are_a_distribution_over_the_eligible_arms(
    policy: Policy, arms: Sequence[str], lessons: int, discount: float | None
) -> None:
    chances = policy.probabilities(model(lessons, discount), X, arms, 7)
    assert chances.shape == (len(arms),)
    assert chances.dtype == np.float64
    assert (chances >= 0).all()
    assert chances.sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(("lessons", "draws"), [(0, 1_000), (6, len(IDS))], ids=["0", "6"])
@every_policy
def test_the_logged_chances_are_the_frequencies_of_the_draws(
    policy: Policy, lessons: int, draws: int
) -> None:
    house = learner(lessons)
    drawn = [house.draw(policy, X, ARMS, decision_id) for decision_id in IDS[:draws]]
    chances = np.array([[why.probability for why in each.why] for each in drawn if each is not None])
    assert all(
        each and each.propensity == {w.arm: w.probability for w in each.why}[each.arm] for each in drawn
    )
    count = Counter(each.arm for each in drawn if each is not None)
    check_counts(np.array([count[arm] for arm in ARMS]), chances)


@every_policy
def test_the_arm_in_place_of_a_failed_one_follows_the_chances_that_it_leaves(policy: Policy) -> None:
    house = learner(6)
    observed, expected = np.zeros(len(ARMS)), []
    for decision_id in IDS:
        first = house.draw(policy, X, ARMS, decision_id)
        assert first is not None
        second = first.without({first.arm})
        assert second is not None
        observed[ARMS.index(second)] += 1
        left = np.array([0.0 if why.arm == first.arm else why.probability for why in first.why])
        if not left.any():
            left = np.array([float(arm != first.arm) for arm in ARMS])
        expected.append(left / left.sum())
    check_counts(observed, np.array(expected))


@pytest.mark.parametrize("lessons", [0, 6, 40])
@every_policy
def test_another_order_of_the_arms_gives_the_chances_in_that_order(policy: Policy, lessons: int) -> None:
    view = model(lessons)
    chances = dict(zip(ARMS, policy.probabilities(view, X, ARMS, 3), strict=True))
    for order in ([2, 0, 3, 1], [3, 2, 1, 0], [1, 0, 2, 3]):
        arms = [ARMS[index] for index in order]
        permuted = policy.probabilities(view, X, arms, 3)
        np.testing.assert_allclose(permuted, [chances[arm] for arm in arms], rtol=0, atol=1e-15)


@every_policy
def test_choosing_changes_nothing_and_is_repeatable(policy: Policy) -> None:
    view = model(6)
    before = view.state.digest()
    first = policy.probabilities(view, X, ARMS, 5)
    np.testing.assert_array_equal(policy.probabilities(view, X, ARMS, 5), first)
    np.testing.assert_array_equal(policy.probabilities(model(6), X, ARMS, 5), first)
    assert view.state.digest() == before


@pytest.mark.parametrize("policy", EXPLORING, ids=lambda policy: policy.name)
def test_only_a_policy_that_samples_looks_at_the_seed(policy: Policy) -> None:
    view = model(6)
    distinct = {policy.probabilities(view, X, ARMS, noise(0, name)).tobytes() for name in IDS[:50]}
    assert (len(distinct) > 1) == (policy.name == "lints")


@every_policy
def test_an_exported_state_makes_the_same_choices_when_it_is_imported(policy: Policy) -> None:
    view = model(40)
    copy = LinearModel(BanditState.from_bytes(view.state.to_bytes()))
    for number, decision_id in enumerate(IDS[:200]):
        x = np.array([1.0, np.sin(number), np.cos(3 * number)])
        ours, theirs = (policy.probabilities(each, x, ARMS, noise(0, decision_id)) for each in (view, copy))
        np.testing.assert_allclose(theirs, ours, rtol=1e-9, atol=1e-12)
        u = uniform(0, decision_id)
        assert draw(ours, u) == draw(theirs, u)


@pytest.mark.parametrize("policy", EXPLORING, ids=lambda policy: policy.name)
def test_an_arm_that_is_added_can_be_drawn_and_one_that_is_removed_cannot(policy: Policy) -> None:
    written, view = script(40), model(40)
    view.apply(written.join("new", PRIOR_MEAN))
    more = policy.probabilities(view, X, (*ARMS, "new"), 3)
    assert more.sum() == pytest.approx(1.0, abs=1e-12)
    if policy.name in LEARNING:
        assert more[-1] > 0
    for gone in ARMS:
        left = [arm for arm in ARMS if arm != gone]
        fewer = policy.probabilities(view, X, left, 3)
        if policy == FixedArm(gone):
            assert fewer.tolist() == [0.0] * len(left)
        else:
            assert fewer.sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("epsilon", [0.1, 1.0])
@pytest.mark.parametrize("name", LEARNING)
def test_every_arm_has_its_part_of_epsilon_whatever_was_learned(name: str, epsilon: float) -> None:
    policy = next(policy for policy in all_policies(epsilon) if policy.name == name)
    chances = policy.probabilities(model(40), X, ARMS, 3)
    assert (chances >= epsilon / len(ARMS) - 1e-15).all()
