"""Changes of the generator, the template or a reward model, and corrections of earlier decisions."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import Script, make_change, make_start
from laserve.bandit.state.examples import Example, fit
from laserve.bandit.state.fold import BanditState
from laserve.bandit.state.linear import LinearModel
from laserve.errors import CorruptLog
from laserve.types import Event, Update

D = 3
ARMS = ("loglik", "consensus", "relevance")
RIDGE = [1.0, 2.0, 30.0]
ONES = np.ones(D)

# Sixteenths, halves and quarters make every sum exact in float64, so that states can be compared with ==.
SIXTEENTHS = st.integers(0, 16).map(lambda number: number / 16)
REWARDS = st.tuples(SIXTEENTHS, SIXTEENTHS, SIXTEENTHS)
VECTORS = st.lists(st.integers(-16, 16).map(lambda number: number / 8), min_size=D, max_size=D).map(np.array)
KEPT = st.sampled_from([0.0, 0.25, 0.5, 1.0])
CHANGES = st.tuples(st.sampled_from(["generator", "template", *ARMS]), KEPT)
#: A word on a decision (its number, rewards of all arms, whether it tells each arm's), or a change.
STEPS = st.lists(st.one_of(st.tuples(st.integers(0, 4), REWARDS, st.booleans()), CHANGES), max_size=14)


def script(discount: float | None = 1.0) -> Script:
    return Script(prior_diagonal=RIDGE, prior_mean=[0.5, 0.0, 0.0], arms=ARMS, discount=discount)


def folded(events: Sequence[Event]) -> BanditState:
    state = BanditState()
    for event in events:
        state.apply(event)
    return state


def updates_of(number: int, rewards: Sequence[float], on_all: bool) -> list[Update]:
    """Updates of all arms, or of the drawn one alone, which comes first and depends on the number alone."""
    first = number % len(ARMS)
    order = [first, *(index for index in range(len(ARMS)) if index != first)]
    return [Update(arm=ARMS[index], reward=rewards[index]) for index in order[: len(ARMS) if on_all else 1]]


def lesson(rewards: Sequence[float]) -> dict[str, Any]:
    """An exact lesson that depends on the rewards."""
    gram = [[one * other for other in rewards] for one in rewards]
    return {"task": "qa", "arms": sorted(ARMS), "gram": gram, "moment": list(rewards)}


def write(steps: Sequence[tuple[Any, ...]], x: np.ndarray, *, discount: float, right: bool) -> Script:
    """The log of these steps.

    Args:
        right: say at once what is said of a decision in the end.
    """
    last = {step[0]: step for step in steps if len(step) == 3}
    made = script(discount)
    for step in steps:
        if len(step) == 2:
            what, kept = step
            if what in ARMS:
                made.change("arm", arm=what, kept=kept)
            else:
                made.change(what, kept=kept)
        elif not right or str(step[0]) not in made.taught:
            number, rewards, on_all = last[step[0]] if right else step
            made.teach(
                str(number),
                x * (number + 1),
                updates_of(number, rewards, on_all),
                propensity=0.25,
                blend=lesson(rewards),
            )
    return made


@pytest.mark.parametrize("discount", [1.0, 0.5])
@settings(max_examples=200)
@given(steps=STEPS, x=VECTORS)
def test_a_correction_leaves_what_it_would_have_said_from_the_start(
    discount: float, steps: list[Any], x: np.ndarray
) -> None:
    after, expected = (
        folded(write(steps, x, discount=discount, right=right).events) for right in (False, True)
    )
    assert after.decisions == expected.decisions
    for name in ARMS:
        one, other = after.arms[name], expected.arms[name]
        np.testing.assert_array_equal(one.S, other.S)
        np.testing.assert_array_equal(one.b, other.b)
        assert (one.updates, one.pulls, one.reward_sum) == (other.updates, other.pulls, other.reward_sum)
        if not any(step[0] in ARMS for step in steps):  # else its loss is that of the others at the change
            assert one.loss == other.loss
    assert after.blending == expected.blending
    for decision_id, example in expected.examples.by_decision.items():
        corrected = after.examples.by_decision[decision_id]
        assert (corrected.best, corrected.weight) == (example.best, example.weight)
    assert after.examples.by_decision.keys() == expected.examples.by_decision.keys()


@pytest.mark.parametrize("what", ["generator", "template"])
def test_another_generator_or_template_keeps_a_share_of_every_arm_and_the_prior_whole(what: str) -> None:
    made = script()
    for number, arm in enumerate(ARMS):
        made.teach(str(number), ONES, [Update(arm=arm, reward=0.5)], propensity=0.5)
    before = folded(made.events)
    made.change(what, kept=0.25)
    after = folded(made.events)
    for name in ARMS:
        for part in ("S", "b", "loss"):
            kept = 0.25 * getattr(before.arms[name], part)
            np.testing.assert_array_equal(getattr(after.arms[name], part), kept)
        assert after.arms[name].prior_mean.tolist() == [0.5, 0.0, 0.0]
        assert (after.arms[name].updates, after.arms[name].reward_sum) == (1, 0.5)  # of its whole life
    assert after.prior_diagonal.tolist() == RIDGE
    assert after.fingerprints == {what: "new"}


def test_another_reward_model_keeps_a_share_of_that_arm_alone() -> None:
    made = script()
    for number, arm in enumerate(ARMS):
        made.teach(str(number), ONES, [Update(arm=arm, reward=0.5)])
    before = folded(made.events)
    made.change("arm", arm="consensus", kept=0.25)
    after = folded(made.events)
    for name in ARMS:
        share = 0.25 if name == "consensus" else 1.0
        np.testing.assert_array_equal(after.arms[name].S, share * before.arms[name].S)
        np.testing.assert_array_equal(after.arms[name].b, share * before.arms[name].b)
    assert (after.arms["consensus"].fingerprint, after.arms["loglik"].fingerprint) == ("new", None)
    assert after.fingerprints == {}


@pytest.mark.parametrize("change", [{"what": "template"}, {"what": "arm", "arm": "loglik"}])
def test_widths_grow_at_a_change_by_at_most_one_over_the_root_of_what_is_kept(change: dict[str, Any]) -> None:
    made, model = script(), LinearModel(BanditState())
    made.teach("one", ONES, [Update(arm="loglik", reward=1.0)])
    model.apply(*made.events)
    mean, width = model.means(ONES, ["loglik"])[0], model.widths(ONES, ["loglik"])[0]
    model.apply(made.change(**change, kept=0.5))
    assert width < model.widths(ONES, ["loglik"])[0] <= width * 2**0.5
    assert 0.5 < model.means(ONES, ["loglik"])[0] < mean  # back towards the prior


def test_forgetting_leaves_the_prior() -> None:
    made, model = script(), LinearModel(BanditState())
    model.apply(*made.events)
    fresh = model.widths(ONES, ARMS)
    for number, arm in enumerate(ARMS):
        model.apply(made.teach(str(number), ONES, [Update(arm=arm, reward=1.0)]))
    model.apply(made.change(kept=0.0))
    np.testing.assert_array_equal(model.widths(ONES, ARMS), fresh)
    np.testing.assert_array_equal(model.means(ONES, ARMS), [0.5] * 3)


@given(steps=STEPS, x=VECTORS, discount=st.sampled_from([1.0, 0.5]))
def test_the_model_keeps_in_step_with_changes_and_corrections(
    steps: list[Any], x: np.ndarray, discount: float
) -> None:
    model = LinearModel(BanditState())
    model.apply(*write(steps, x, discount=discount, right=False).events)
    fresh = LinearModel(model.state)
    for arm in ARMS:
        np.testing.assert_allclose(model.theta(arm), fresh.theta(arm), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(model.widths(ONES, ARMS), fresh.widths(ONES, ARMS), rtol=1e-8, atol=1e-10)


def test_an_arm_whose_reward_model_is_another_moves_towards_the_least_loss_of_the_others() -> None:
    made = script()
    for number, (arm, reward) in enumerate(zip(ARMS, (0.0, 0.5, 0.75), strict=True)):
        made.teach(str(number), ONES, [Update(arm=arm, reward=reward)], propensity=0.25)
    assert [arm.loss for arm in folded(made.events).arms.values()] == [4.0, 2.0, 1.0]
    made.change("arm", arm="loglik", kept=0.5)
    state = folded(made.events)
    assert [arm.loss for arm in state.arms.values()] == [1 + 0.5 * 3, 2.0, 1.0]
    # The correction takes back the kept half of 4, and adds half of 2.
    state.apply(made.teach("0", ONES, [Update(arm="loglik", reward=0.5)], propensity=0.25))
    assert state.arms["loglik"].loss == 1 + 0.5 * 3 - 0.5 * 4 + 0.5 * 2


def test_the_best_arm_loses_its_lead_when_its_reward_model_is_another() -> None:
    made = script()
    for number, (arm, reward) in enumerate(zip(ARMS, (1.0, 0.5, 0.0), strict=True)):
        made.teach(str(number), ONES, [Update(arm=arm, reward=reward)], propensity=0.25)
    made.change("arm", arm="loglik", kept=0.0)
    assert [arm.loss for arm in folded(made.events).arms.values()] == [2.0, 2.0, 4.0]


def test_what_is_only_noted_changes_nothing_that_was_learned() -> None:
    made, model = script(), LinearModel(BanditState())
    made.teach("one", ONES, [Update(arm="loglik", reward=1.0)])
    model.apply(*made.events)
    theta = model.theta("loglik").copy()
    before = model.state.arms["loglik"].S.copy()
    model.apply(made.change("generator", before=None, kept=1.0), made.change("arm", arm="loglik", kept=1.0))
    np.testing.assert_array_equal(model.state.arms["loglik"].S, before)
    np.testing.assert_array_equal(model.theta("loglik"), theta)
    assert [change.arm for change in model.state.changes.made] == ["loglik"]  # the first note is no change


def test_a_decision_learned_after_a_change_counts_whole() -> None:
    made = script()
    made.change(kept=0.25)
    made.teach("one", ONES, [Update(arm="loglik", reward=1.0)])
    state = folded(made.events)
    assert state.arms["loglik"].b[0] == 1.0
    state.apply(made.teach("one", ONES, [Update(arm="loglik", reward=0.5)]))
    assert state.arms["loglik"].b[0] == 0.5


def test_decisions_of_older_versions_come_before_all_changes() -> None:
    made = script(None)  # its events have no ordinal
    made.teach("one", ONES, [Update(arm="loglik", reward=1.0)])
    made.change(kept=0.5)
    made.teach("one", ONES, [Update(arm="loglik", reward=0.5)])
    assert folded(made.events).arms["loglik"].b[0] == 0.25


@given(steps=STEPS, x=VECTORS, discount=st.sampled_from([1.0, 0.5]))
def test_a_snapshot_restores_changes_fingerprints_and_digest(
    steps: list[Any], x: np.ndarray, discount: float
) -> None:
    state = folded(write(steps, x, discount=discount, right=False).events)
    restored = BanditState.from_bytes(state.to_bytes())
    assert restored.digest() == state.digest()
    assert (restored.changes, restored.fingerprints) == (state.changes, state.fingerprints)
    follow = make_change(state.position + 1, "arm", arm="loglik", kept=0.25)
    restored.apply(follow)
    state.apply(follow)
    assert restored.digest() == state.digest()


def test_a_change_is_part_of_the_digest() -> None:
    digests = {
        folded([*script().events, make_change(5, after=after, kept=1.0)]).digest()
        for after in ("new", "other")
    }
    assert len(digests) == 2


def test_a_log_without_changes_has_the_digest_that_it_always_had() -> None:
    header = folded(script(None).events)._header()
    assert header.keys() == {"position", "decisions", "learn_from", "parameters", "arms"}
    assert header["arms"]["loglik"] == {"pulls": 0, "updates": 0}


def test_the_first_event_and_an_arm_s_tell_their_fingerprints() -> None:
    start = make_start(prior_diagonal=RIDGE)
    start = replace(start, body=dict(start.body) | {"fingerprints": {"generator": "g"}})
    made = script()
    joined = replace(made.events[1], body=dict(made.events[1].body) | {"fingerprint": "f"})
    state = folded([start, joined])
    assert (state.fingerprints, state.arms["loglik"].fingerprint) == ({"generator": "g"}, "f")
    state.apply(replace(made.events[1], position=3))  # it joins again, without a fingerprint
    assert state.arms["loglik"].fingerprint == "f"


def test_evidence_is_what_changes_of_all_arms_have_left() -> None:
    model = LinearModel(BanditState())
    steps = [(number, (1.0, 0.5, 0.0), True) for number in range(4)]
    changes = [("generator", 0.5), ("loglik", 0.0)]
    model.apply(
        *write([*steps, *changes, (4, (1.0, 1.0, 1.0), True)], ONES, discount=1.0, right=False).events
    )
    assert model.evidence == 4 * 0.5 + 1
    worn = LinearModel(BanditState())
    worn.apply(*write([*steps, *changes, (4, (1.0, 1.0, 1.0), True)], ONES, discount=0.5, right=False).events)
    assert worn.evidence == pytest.approx((1 + 0.5 + 0.25 + 0.125) * 0.5 * 0.5 + 1)


def test_examples_count_in_the_fit_as_much_as_is_left_of_them() -> None:
    old = [Example(x=ONES, best=("loglik",), weight=0.5)] * 4
    new = [Example(x=ONES, best=("consensus",))] * 2
    ridge = np.array(RIDGE)
    weights = fit([*old, *new], ridge)
    np.testing.assert_allclose(weights["loglik"], weights["consensus"], atol=1e-4)
    assert fit([replace(example, weight=0.0) for example in old], ridge) == {}


def test_a_change_lets_the_classifier_be_fitted_anew() -> None:
    made = script()
    made.teach("one", ONES, updates_of(0, (1.0, 0.5, 0.0), True), propensity=0.5)
    state = folded(made.events)
    version = state.examples.version
    state.apply(made.change("arm", arm="consensus", kept=0.5))
    assert state.examples.version > version
    assert [example.weight for example in state.examples.by_decision.values()] == [0.5]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"what": "weather"}, "changes 'weather'"),
        ({"what": "arm"}, "changes 'arm' of arm None"),
        ({"what": "generator", "arm": "loglik"}, "changes 'generator' of arm 'loglik'"),
        ({"what": "arm", "arm": "nobody"}, "changes the unknown arm 'nobody'"),
        ({"kept": 1.5}, "keeps 1.5"),
        ({"kept": -0.5}, "keeps -0.5"),
        ({"kept": float("nan")}, "keeps nan"),
        ({"kept": None}, "keeps None"),
    ],
)
def test_a_change_that_makes_no_sense_is_a_corrupt_log(changes: dict[str, Any], message: str) -> None:
    state = folded(script().events)
    before = state.digest()
    with pytest.raises(CorruptLog, match=message):
        state.apply(make_change(state.position + 1, **changes))
    assert state.digest() == before
