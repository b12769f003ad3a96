import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from builders import Script, make_arm_event, make_change, make_start, make_teaching
from laserve.bandit.state.arm_state import ArmState
from laserve.bandit.state.blending import Lesson
from laserve.bandit.state.fold import BanditState
from laserve.errors import CorruptLog
from laserve.types import Event, Update

D = 3
ARMS = ("loglik", "consensus", "relevance")

# Multiples of 1/16 make every sum exact in float64, so that closed forms can be compared with ==.
SIXTEENTHS = st.integers(0, 16).map(lambda number: number / 16)
VECTORS = st.lists(st.integers(-16, 16).map(lambda number: number / 8), min_size=D, max_size=D).map(np.array)
UPDATES = st.lists(
    st.builds(Update, arm=st.sampled_from(ARMS), reward=SIXTEENTHS, weight=st.sampled_from([1.0, 0.5, 2.0])),
    min_size=1,
    max_size=3,
    unique_by=lambda update: update.arm,
)
#: (decision, context, updates); a decision that comes again replaces what it taught before.
LESSONS = st.lists(st.tuples(st.integers(0, 4), VECTORS, UPDATES), max_size=12)


def write(
    lessons: Sequence[tuple[int, np.ndarray, list[Update]]],
    *,
    discount: float | None = None,
    propensity: float | None = None,
) -> Script:
    script = Script(prior_diagonal=[1.0, 2.0, 30.0], prior_mean=[0.5, 0.0, 0.0], arms=ARMS, discount=discount)
    for number, x, updates in lessons:
        # A decision has one context, the one of its first lesson.
        context, _ = script.taught.get(str(number), (x, ()))
        script.teach(str(number), context, updates, propensity=propensity)
    return script


def folded(events: Sequence[Event]) -> BanditState:
    state = BanditState()
    for event in events:
        state.apply(event)
    return state


def small_state() -> BanditState:
    return folded(write([(0, np.ones(D), [Update(arm="loglik", reward=0.5)])]).events)


@pytest.mark.parametrize("discount", [None, 1.0, 0.5])
@given(lessons=LESSONS)
def test_the_fold_equals_the_closed_form_sums(discount: float | None, lessons: list[Any]) -> None:
    script = write(lessons, discount=discount)
    state = folded(script.events)
    for name in ARMS:
        S, b = script.sums(name, D)
        np.testing.assert_array_equal(state.arms[name].S, S)
        np.testing.assert_array_equal(state.arms[name].b, b)


@given(lessons=LESSONS)
def test_counters_tell_decisions_pulls_and_rewards(lessons: list[Any]) -> None:
    script = write(lessons)
    state = folded(script.events)
    played: dict[int, str] = {}
    for number, _, updates in lessons:
        played.setdefault(number, updates[0].arm)  # a correction does not count as another pull
    standing = [update for _, updates in script.taught.values() for update in updates]

    assert state.position == len(script.events)
    assert state.decisions == len(played)
    for name, arm in state.arms.items():
        rewards = [Fraction(update.reward) for update in standing if update.arm == name]
        assert arm.pulls == sum(chosen == name for chosen in played.values())
        assert arm.updates == len(rewards)
        assert arm.reward_sum == float(sum(rewards))
        assert arm.mean_reward == (float(sum(rewards)) / len(rewards) if rewards else None)


@pytest.mark.parametrize("discount", [None, 0.5])
@given(lessons=LESSONS, x=VECTORS, wrong=UPDATES, right=UPDATES, later=LESSONS)
def test_a_replacement_nets_out(
    discount: float | None,
    lessons: list[Any],
    x: np.ndarray,
    wrong: list[Update],
    right: list[Update],
    later: list[Any],
) -> None:
    # Also when other decisions were learned between the wrong feedback and the right one.
    corrected, direct = (write(lessons, discount=discount, propensity=0.25) for _ in range(2))
    corrected.teach("new", x, wrong, propensity=0.25)
    direct.teach("new", x, [replace(wrong[0], reward=right[0].reward), *right[1:]], propensity=0.25)
    for number, z, updates in later:
        for script in (corrected, direct):
            context, _ = script.taught.get(str(number), (z, ()))
            script.teach(str(number), context, updates, propensity=0.25)
    right = [replace(wrong[0], reward=right[0].reward), *right[1:]]  # another arm cannot have been drawn
    corrected.teach("new", x, right, propensity=0.25)

    after, expected = folded(corrected.events), folded(direct.events)
    assert after.decisions == expected.decisions
    for name in ARMS:
        for part in ("S", "b", "loss"):
            np.testing.assert_array_equal(getattr(after.arms[name], part), getattr(expected.arms[name], part))
        assert after.arms[name].updates == expected.arms[name].updates
        assert after.arms[name].reward_sum == expected.arms[name].reward_sum


def test_the_start_event_sets_the_parameters() -> None:
    state = folded([make_start(prior_diagonal=[1.0, 30.0], learn_from="thumb")])
    np.testing.assert_array_equal(state.prior_diagonal, [1.0, 30.0])
    assert state.learn_from == "thumb"
    assert state.position == 1


def test_an_arm_event_adds_an_arm_that_has_learned_nothing() -> None:
    state = folded([make_start(prior_diagonal=[1, 1]), make_arm_event(2, "new", [0.5, 0.25])])
    arm = state.arms["new"]
    np.testing.assert_array_equal(arm.prior_mean, [0.5, 0.25])
    assert not arm.S.any()
    assert not arm.b.any()
    assert (arm.pulls, arm.updates, arm.mean_reward) == (0, 0, None)


def test_the_first_feedback_that_teaches_settles_the_kind() -> None:
    state = small_state()
    assert state.learn_from == "reward"
    later = make_teaching(state.position + 1, np.ones(D), [Update(arm="loglik", reward=1.0)])
    state.apply(replace(later, body=dict(later.body) | {"kind": "thumb"}))
    assert state.learn_from == "reward"


def test_a_default_teaches_and_leaves_the_kind_to_the_first_feedback() -> None:
    script = write([(0, np.ones(D), [Update(arm="loglik", reward=0.25)])])
    said = script.teach("0", np.ones(D), [Update(arm="loglik", reward=1.0)])
    default = replace(script.events[-2], body=dict(said.body) | {"kind": "default"})
    state = folded([*script.events[:-2], default])
    assert (state.learn_from, state.decisions) == (None, 1)
    assert (state.arms["loglik"].pulls, state.arms["loglik"].reward_sum) == (1, 0.25)
    state.apply(said)
    assert (state.learn_from, state.decisions) == ("reward", 1)
    assert (state.arms["loglik"].pulls, state.arms["loglik"].reward_sum) == (1, 1.0)


def test_a_feedback_that_teaches_nothing_moves_the_position_alone() -> None:
    state = small_state()
    decisions, b = state.decisions, state.arms["loglik"].b.copy()
    state.apply(make_teaching(state.position + 1, np.ones(D), []))
    assert state.position == small_state().position + 1
    assert state.decisions == decisions
    np.testing.assert_array_equal(state.arms["loglik"].b, b)


@pytest.mark.parametrize("offset", [-1, 0, 2, 10])
def test_a_gap_or_a_repeat_in_the_positions_is_a_corrupt_log(offset: int) -> None:
    state = small_state()
    event = make_teaching(state.position + offset, np.ones(D), [Update(arm="loglik", reward=1.0)])
    before = state.digest()
    with pytest.raises(CorruptLog, match=f"event {event.position} follows event {state.position}"):
        state.apply(event)
    assert state.digest() == before


@pytest.mark.parametrize(
    "change",
    [
        {"updates": (Update(arm="nobody", reward=1.0),)},
        {"replaces": (Update(arm="nobody", reward=1.0),)},
        {"updates": (Update(arm="loglik", reward=1.0), Update(arm="nobody", reward=1.0))},
        {"body": {"kind": "reward", "played": "nobody", "reward": 1.0, "learned": True}},
    ],
    ids=["updates", "replaces", "second update", "played"],
)
def test_an_unknown_arm_is_a_corrupt_log(change: dict[str, Any]) -> None:
    state = small_state()
    event = make_teaching(state.position + 1, np.ones(D), [Update(arm="loglik", reward=1.0)])
    before = state.digest()
    with pytest.raises(CorruptLog, match="nobody"):
        state.apply(replace(event, **change))
    assert state.digest() == before  # nothing of it was folded in


def test_a_lesson_without_a_context_is_a_corrupt_log() -> None:
    state = small_state()
    event = make_teaching(state.position + 1, None, [Update(arm="loglik", reward=1.0)])
    with pytest.raises(CorruptLog, match="without a context"):
        state.apply(event)


def test_an_unknown_kind_of_event_is_a_corrupt_log() -> None:
    state = small_state()
    with pytest.raises(CorruptLog, match="unknown kind 'rename'"):
        state.apply(Event(position=state.position + 1, kind="rename", created_at=1.0))


@given(lessons=LESSONS, more=LESSONS)
def test_a_restored_snapshot_is_the_same_state_and_goes_on_the_same(
    lessons: list[Any], more: list[Any]
) -> None:
    events = write([*lessons, *more]).events
    cut = len(write(lessons).events)
    state = folded(events[:cut])
    restored = BanditState.from_bytes(state.to_bytes())

    assert restored.digest() == state.digest()
    assert restored.to_bytes() == state.to_bytes()
    for event in events[cut:]:
        restored.apply(event)
    assert restored.digest() == folded(events).digest()


def test_an_empty_state_survives_a_snapshot() -> None:
    assert BanditState.from_bytes(BanditState().to_bytes()).digest() == BanditState().digest()


@given(lessons=LESSONS.filter(bool), data=st.data())
def test_the_digest_changes_with_any_reward(lessons: list[Any], data: st.DataObject) -> None:
    # Every lesson is about a decision of its own, so that no reward is replaced later.
    lessons = [(number, x, updates) for number, (_, x, updates) in enumerate(lessons)]
    index = data.draw(st.integers(0, len(lessons) - 1))
    number, x, updates = lessons[index]
    other = data.draw(SIXTEENTHS)
    assume(other != updates[0].reward)
    changed = [replace(updates[0], reward=other), *updates[1:]]
    altered = [*lessons[:index], (number, x, changed), *lessons[index + 1 :]]

    assert folded(write(altered).events).digest() != folded(write(lessons).events).digest()


@given(lessons=LESSONS)
def test_the_digest_changes_at_every_position(lessons: list[Any]) -> None:
    state = BanditState()
    digests = {state.digest()}
    events = write(lessons).events
    for event in events:
        state.apply(event)
        digests.add(state.digest())
    assert len(digests) == len(events) + 1


def _move(state: BanditState, change: Callable[[ArmState], None]) -> None:
    change(state.arms["loglik"])


@pytest.mark.parametrize(
    "change",
    [
        lambda state: setattr(state, "position", state.position + 1),
        lambda state: setattr(state, "decisions", state.decisions + 1),
        lambda state: setattr(state, "learn_from", "thumb"),
        lambda state: setattr(state, "parameters", dict(state.parameters) | {"prior_diagonal": [1, 2, 3]}),
        lambda state: state.arms.pop("relevance"),
        lambda state: _move(state, lambda arm: setattr(arm, "pulls", 9)),
        lambda state: _move(state, lambda arm: setattr(arm, "updates", 9)),
        lambda state: _move(state, lambda arm: setattr(arm, "reward_sum", np.nextafter(0.5, 1))),
        lambda state: _move(state, lambda arm: arm.S.__setitem__((0, 1), np.nextafter(1, 2))),
        lambda state: _move(state, lambda arm: arm.b.__setitem__(2, np.nextafter(0.5, 1))),
        lambda state: _move(state, lambda arm: arm.prior_mean.__setitem__(0, np.nextafter(0.5, 1))),
    ],
)
def test_the_digest_covers_every_part_to_the_last_bit(change: Callable[[BanditState], None]) -> None:
    state = small_state()
    change(state)
    assert state.digest() != small_state().digest()


def test_the_digest_does_not_depend_on_the_order_in_which_arms_joined() -> None:
    # A snapshot restores arms by name; the log has them in the order of the configuration.
    state = small_state()
    state.arms = dict(reversed(state.arms.items()))
    assert state.digest() == small_state().digest()


@pytest.mark.parametrize("keep", [0, 4, 8, 100, -1])
def test_a_torn_snapshot_is_refused(keep: int) -> None:
    with pytest.raises(CorruptLog, match="snapshot"):
        BanditState.from_bytes(small_state().to_bytes()[:keep])


@given(payload=st.binary(max_size=64))
def test_bytes_that_are_no_snapshot_are_refused(payload: bytes) -> None:
    with pytest.raises(CorruptLog, match="snapshot"):
        BanditState.from_bytes(payload)


def test_a_tensor_file_that_is_no_snapshot_is_refused() -> None:
    from safetensors.numpy import save

    with pytest.raises(CorruptLog, match="snapshot"):
        BanditState.from_bytes(save({"b": np.zeros(3)}))


# arms that come and go


def arm_state(position: int, name: str, state: str) -> Event:
    return Event(position=position, kind="arm_state", created_at=1.0, body={"name": name, "state": state})


def joining(position: int, name: str, settings: dict[str, Any]) -> Event:
    event = make_arm_event(position, name, [0.25] * D)
    return replace(event, body=dict(event.body) | {"settings": settings})


def test_a_state_without_arm_changes_has_the_digest_that_it_had_before_there_were_any() -> None:
    assert small_state().digest() == "b8619635427edd8806d4ffe84de92f177fedc33fe433c607ea5eaa14e8c15427"


def test_an_arm_is_enabled_until_the_log_says_otherwise() -> None:
    state = small_state()
    assert {arm.status for arm in state.arms.values()} == {"enabled"}
    digests = [state.digest()]
    for status in ("draining", "retired", "enabled"):
        state.apply(arm_state(state.position + 1, "loglik", status))
        assert state.arms["loglik"].status == status
        assert state.arms["loglik"].pulls == 1
        digests.append(state.digest())
    assert len(set(digests)) == len(digests)


def test_status_and_settings_are_part_of_snapshot_and_digest() -> None:
    state = small_state()
    state.apply(joining(state.position + 1, "new", {"kind": "fake", "options": {"salt": "a"}}))
    state.apply(arm_state(state.position + 1, "new", "retired"))
    restored = BanditState.from_bytes(state.to_bytes())
    assert restored.arms["new"].status == "retired"
    assert restored.arms["new"].settings == {"kind": "fake", "options": {"salt": "a"}}
    assert restored.digest() == state.digest()
    for change in ({"status": "enabled"}, {"settings": {"kind": "fake"}}):
        other = BanditState.from_bytes(state.to_bytes())
        for name, value in change.items():
            setattr(other.arms["new"], name, value)
        assert other.digest() != state.digest()


def test_an_arm_that_joins_again_keeps_what_it_learned_and_takes_its_new_settings() -> None:
    state = small_state()
    before = state.arms["loglik"].S.copy()
    state.apply(arm_state(state.position + 1, "loglik", "retired"))
    state.apply(joining(state.position + 1, "loglik", {"kind": "fake"}))
    arm = state.arms["loglik"]
    np.testing.assert_array_equal(arm.S, before)
    np.testing.assert_array_equal(arm.prior_mean, [0.5, 0.0, 0.0])
    assert (arm.pulls, arm.status, arm.settings) == (1, "enabled", {"kind": "fake"})


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [("nobody", "retired", "moves the unknown arm 'nobody'"), ("loglik", "away", "unknown state 'away'")],
)
def test_a_change_that_makes_no_sense_is_a_corrupt_log(name: str, status: str, message: str) -> None:
    state = small_state()
    with pytest.raises(CorruptLog, match=message):
        state.apply(arm_state(state.position + 1, name, status))


# the discount


def one_each(decisions: int, discount: float | None) -> Script:
    return write(
        [(n, np.ones(D), [Update(arm="loglik", reward=0.5)]) for n in range(decisions)], discount=discount
    )


def test_a_log_says_what_its_discount_is_and_old_logs_have_none() -> None:
    assert folded(one_each(1, 0.75).events).discount == 0.75
    assert folded(one_each(1, None).events).discount == 1.0


@given(lessons=LESSONS)
def test_a_discount_of_one_changes_no_byte_of_any_arm(lessons: list[Any]) -> None:
    without, one = (folded(write(lessons, discount=discount).events) for discount in (None, 1.0))
    for name in ARMS:
        assert without.arms[name].S.tobytes() == one.arms[name].S.tobytes()
        assert without.arms[name].b.tobytes() == one.arms[name].b.tobytes()
        assert without.arms[name].to_json() == one.arms[name].to_json()


def test_each_learned_decision_wears_what_every_arm_has_learned_and_never_the_prior() -> None:
    script = one_each(1, 0.75)
    script.teach("other", np.ones(D), [Update(arm="consensus", reward=1.0)], propensity=0.5)
    script.teach("third", np.ones(D), [Update(arm="consensus", reward=0.0)], propensity=0.5)
    state = folded(script.events)
    loglik, consensus = state.arms["loglik"], state.arms["consensus"]
    np.testing.assert_array_equal(loglik.S, np.full((D, D), 0.75**2))
    np.testing.assert_array_equal(loglik.b, np.full(D, 0.5 * 0.75**2))
    np.testing.assert_array_equal(consensus.S, np.full((D, D), 1 + 0.75))
    assert consensus.loss == 2.0  # the first of the two decisions has loss 0
    np.testing.assert_array_equal(loglik.prior_mean, [0.5, 0.0, 0.0])
    np.testing.assert_array_equal(state.prior_diagonal, [1.0, 2.0, 30.0])
    assert (loglik.pulls, loglik.updates, loglik.reward_sum) == (1, 1, 0.5)  # of its whole life


def test_neither_a_correction_nor_what_teaches_nothing_wears_anything() -> None:
    script = one_each(3, 0.5)
    before = folded(script.events)
    for _ in range(5):  # a rater who repeats one feedback
        script.teach("2", np.ones(D), [Update(arm="loglik", reward=0.5)])
    script.events.append(make_teaching(len(script.events) + 1, np.ones(D), []))
    after = folded(script.events)
    for part in ("S", "b"):
        np.testing.assert_array_equal(
            getattr(after.arms["loglik"], part), getattr(before.arms["loglik"], part)
        )


@pytest.mark.parametrize("age", [0, 1, 2, 77])
def test_a_correction_weighs_what_its_original_does_by_repeated_multiplication(age: int) -> None:
    # Powers from a library may differ in the last bit between processors.
    script = one_each(1 + age, 0.9)
    state = folded(script.events)
    before = state.arms["loglik"].b.copy()
    kept = 1.0
    for _ in range(age):
        kept *= 0.9
    state.apply(script.teach("0", np.ones(D), [Update(arm="loglik", reward=1.0)]))
    assert state.arms["loglik"].b[0] == (before[0] - kept * 0.5) + kept * 1.0


def test_a_correction_of_what_has_faded_away_changes_nothing() -> None:
    script = one_each(1500, 0.5)  # 0.5^1499 is 0 in float64
    state = folded(script.events)
    before = state.arms["loglik"].b.copy()
    state.apply(script.teach("0", np.ones(D), [Update(arm="loglik", reward=1.0)]))
    np.testing.assert_array_equal(state.arms["loglik"].b, before)


@pytest.mark.parametrize(
    ("replaces", "ordinal"),
    [(False, None), (False, 3), (False, 5), (False, 0), (True, None), (True, 0), (True, 4), (True, 1.5)],
)
def test_a_wrong_number_of_the_learned_decision_is_a_corrupt_log(replaces: bool, ordinal: Any) -> None:
    state = folded(one_each(3, 0.5).events)
    update = Update(arm="loglik", reward=0.5)
    lesson = {} if ordinal is None else {"ordinal": ordinal}
    event = make_teaching(
        state.position + 1, np.ones(D), [update], replaces=[update] if replaces else [], **lesson
    )
    before = state.digest()
    with pytest.raises(CorruptLog, match=f"is about learned decision {ordinal}, where "):
        state.apply(event)
    assert state.digest() == before


def test_a_log_without_a_discount_need_not_number_its_decisions() -> None:
    state = folded(one_each(3, None).events)
    update = Update(arm="loglik", reward=0.5)
    state.apply(make_teaching(state.position + 1, np.ones(D), [update], replaces=[update]))
    state.apply(make_teaching(state.position + 1, np.ones(D), [update]))
    assert state.decisions == 4
    with pytest.raises(CorruptLog, match="learned decision 4, where 5 to 5"):
        state.apply(make_teaching(state.position + 1, np.ones(D), [update], ordinal=4))


# losses of the arms that were drawn


def test_a_loss_is_that_of_the_drawn_arm_over_its_propensity_whichever_arm_chose() -> None:
    state = small_state()
    updates = [Update(arm="consensus", reward=0.75), Update(arm="relevance", reward=0.0)]
    state.apply(
        make_teaching(
            state.position + 1, np.ones(D), updates, played="consensus", drawn="loglik", propensity=0.125
        )
    )
    assert {name: arm.loss for name, arm in state.arms.items()} == {
        "loglik": 0.25 / 0.125,
        "consensus": 0.0,
        "relevance": 0.0,
    }


def test_a_correction_takes_the_loss_of_its_original_back() -> None:
    script = write([(0, np.ones(D), [Update(arm="loglik", reward=0.25)])], propensity=0.25)
    state = folded(script.events)
    assert state.arms["loglik"].loss == 3.0
    for reward in (1.0, 0.5):
        update = Update(arm="loglik", reward=reward)
        state.apply(script.teach("0", np.ones(D), [update], propensity=0.25))
        assert state.arms["loglik"].loss == (1 - reward) / 0.25


def test_events_of_older_versions_teach_no_losses_until_they_are_corrected() -> None:
    script = write([(0, np.ones(D), [Update(arm="loglik", reward=0.25)])])
    state = folded(script.events)
    assert state.arms["loglik"].loss == 0.0
    update = Update(arm="loglik", reward=0.5)
    state.apply(
        make_teaching(
            state.position + 1, np.ones(D), [update], replaces=[update], drawn="loglik", propensity=0.25
        )
    )
    assert state.arms["loglik"].loss == 2.0


def test_an_arm_that_joins_or_comes_back_is_on_a_par_with_the_best_of_those_that_were_there() -> None:
    # At 0, as if it had never lost, it would have all the traffic until it has lost as much as the others.
    lessons = [(n, np.ones(D), [Update(arm=ARMS[n % 3], reward=n / 8)]) for n in range(6)]
    script = write(lessons, propensity=0.5)
    state = folded(script.events)
    losses = {name: arm.loss for name, arm in state.arms.items()}
    assert losses == {"loglik": 3.25, "consensus": 2.75, "relevance": 2.25}
    state.apply(make_arm_event(state.position + 1, "new", [0.5] * D))
    assert state.arms["new"].loss == 2.25
    state.apply(arm_state(state.position + 1, "relevance", "retired"))
    state.apply(arm_state(state.position + 1, "new", "retired"))
    state.apply(arm_state(state.position + 1, "relevance", "enabled"))
    assert state.arms["relevance"].loss == 2.75
    state.apply(arm_state(state.position + 1, "loglik", "draining"))
    state.apply(arm_state(state.position + 1, "loglik", "enabled"))
    assert state.arms["loglik"].loss == 3.25  # it is behind the best already


@pytest.mark.parametrize("propensity", [None, 0.0, -0.5, float("nan")])
def test_a_draw_that_cannot_have_been_is_a_corrupt_log(propensity: float | None) -> None:
    state = small_state()
    update = Update(arm="loglik", reward=0.5)
    before = state.digest()
    with pytest.raises(CorruptLog, match="propensity"):
        state.apply(
            make_teaching(state.position + 1, np.ones(D), [update], drawn="loglik", propensity=propensity)
        )
    with pytest.raises(CorruptLog, match="nobody"):
        state.apply(make_teaching(state.position + 1, np.ones(D), [update], drawn="nobody", propensity=0.5))
    assert state.digest() == before


@pytest.mark.parametrize("discount", [None, 0.9])
@given(lessons=LESSONS, propensity=st.floats(1e-3, 1))
def test_losses_survive_a_snapshot_and_are_part_of_the_digest(
    discount: float | None, lessons: list[Any], propensity: float
) -> None:
    state = folded(write(lessons, discount=discount, propensity=propensity).events)
    restored = BanditState.from_bytes(state.to_bytes())
    assert [arm.loss for arm in restored.arms.values()] == [state.arms[name].loss for name in restored.arms]
    assert restored.digest() == state.digest()
    assert restored.discount == state.discount
    restored.arms["loglik"].loss = float(np.nextafter(restored.arms["loglik"].loss, np.inf))
    assert restored.digest() != state.digest()


QUALITIES = st.lists(SIXTEENTHS, min_size=4, max_size=4)


@st.composite
def whole_logs(draw: st.DrawFn) -> list[Event]:
    """Events of every kind: lessons, corrections, comparisons, changes, arms that come, go and come back."""
    scaling = draw(st.sampled_from([None, "quantile"]))
    script = Script(
        prior_diagonal=[1.0, 2.0, 30.0],
        prior_mean=[0.5, 0.0, 0.0],
        arms=ARMS,
        discount=draw(st.sampled_from([1.0, 0.5])),
    )
    script.events[0] = make_start(
        prior_diagonal=[1.0, 2.0, 30.0], discount=script.discount, reward_scaling=scaling
    )
    for _ in range(draw(st.integers(0, 12))):
        position = len(script.events) + 1
        match draw(st.sampled_from(["lesson", "lesson", "lesson", "nothing", "join", "state", "change"])):
            case "lesson":
                decision, x = draw(st.integers(0, 4)), draw(VECTORS)
                context, before = script.taught.get(str(decision), (x, ()))
                updates = draw(UPDATES)
                if before:  # another arm cannot have been drawn
                    others = [update for update in updates if update.arm != before[0].arm]
                    updates = [replace(updates[0], arm=before[0].arm), *others]
                scores = {arm: draw(QUALITIES) for arm in ARMS}
                lesson = Lesson.of("all", scores, draw(QUALITIES))
                script.teach(
                    str(decision),
                    context,
                    updates,
                    propensity=0.25,
                    blend=draw(st.sampled_from([None, lesson and lesson.to_json()])),
                )
            case "nothing":
                script.events.append(make_teaching(position, None, []))
            case "join":
                script.join(draw(st.sampled_from([*ARMS, "late"])), [0.25, 0.0, 0.0])
            case "state":
                script.events.append(
                    arm_state(
                        position, draw(st.sampled_from(ARMS)), draw(st.sampled_from(["enabled", "retired"]))
                    )
                )
            case "change":
                kept = draw(st.sampled_from([0.0, 0.5, 1.0]))
                arm = draw(st.sampled_from([None, *ARMS]))
                what = "generator" if arm is None else "arm"
                script.events.append(make_change(position, what, kept=kept, arm=arm))
    return script.events


@settings(max_examples=200, deadline=None)
@given(events=whole_logs(), data=st.data())
def test_a_fork_folds_on_as_its_original_would_and_leaves_it_as_it_was(
    events: list[Event], data: st.DataObject
) -> None:
    first = data.draw(st.integers(1, len(events)))
    state = folded(events[:first])
    before, whole = state.digest(), state.to_bytes()
    fork = state.fork()
    assert fork.digest() == before
    for place, event in enumerate(events[first:], start=first + 1):
        fork.apply(event)
        assert fork.digest() == folded(events[:place]).digest()
    assert (state.digest(), state.to_bytes()) == (before, whole)

    changed = fork.digest()
    for event in events[first:]:  # and the other way round
        state.apply(event)
    assert fork.digest() == changed == state.digest()


@pytest.mark.parametrize(
    "change",
    [
        {"x": np.ones(2)},
        {"x": np.ones(4)},
        {"x": np.ones((3, 1))},
        {"body": {"kind": "reward"}},
        {"body": {"kind": "reward", "played": "loglik", "ordinal": 2, "drawn": "loglik", "propensity": "x"}},
        {"body": {"kind": "reward", "played": ["loglik"], "ordinal": 2}},
        {"updates": (Update(arm="loglik", reward=1e9),)},
        {"updates": (Update(arm="loglik", reward=math.inf),)},
        {"updates": (Update(arm="loglik", reward=math.nan),)},
        {"updates": (Update(arm="loglik", reward="much"),)},  # type: ignore[arg-type]
    ],
    ids=repr,
)
def test_whatever_cannot_be_folded_is_a_corrupt_log_that_names_the_event(change: dict[str, Any]) -> None:
    start = make_start(prior_diagonal=[1.0, 2.0, 30.0], reward_scaling="quantile")
    state = folded([start, make_arm_event(2, "loglik", [0.5, 0.0, 0.0])])
    lesson = make_teaching(3, np.ones(D), [Update(arm="loglik", reward=0.5)])
    state.fork().apply(lesson)
    digest = state.digest()
    with pytest.raises(CorruptLog, match=r"\bevent 3\b"):
        state.fork().apply(replace(lesson, **change))
    assert state.digest() == digest
