import asyncio
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import Script, make_arm_event, make_decision, make_feedback, make_start
from laserve.bandit.state.fold import BanditState
from laserve.errors import Conflict, StoreError
from laserve.eventlog.event_log import EventLog, write_entry
from laserve.eventlog.learner import Learner
from laserve.feedback import defaults
from laserve.feedback.defaults import DefaultRewards
from laserve.feedback.entries import DefaultEntry, FeedbackEntry
from laserve.feedback.record import Recorder
from laserve.feedback.rewards import resolve
from laserve.history.verify import verify
from laserve.metrics import Metrics
from laserve.storage.store import SqlStore
from laserve.types import Decision, Update

ARMS = ("loglik", "consensus", "relevance")
DIAGONAL, MEAN = [1.0, 2.0], [0.5, 0.0]
DEFAULT_REWARD = 0.25
#: Events of a log that has learned nothing: a start and an arm each.
EMPTY = 1 + len(ARMS)


@dataclass(kw_only=True)
class House:
    """The parts that feedback and its window need, on a store of their own."""

    store: SqlStore
    learner: Learner
    metrics: Metrics
    log: EventLog
    feedback: Recorder
    defaults: DefaultRewards

    def sample(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    async def kinds(self) -> list[str]:
        """Kinds of the feedback in the log, in order."""
        return [event.body["kind"] async for event in self.store.events(after=EMPTY)]


def assembled(store: SqlStore, learner: Learner) -> House:
    metrics = Metrics()
    log = EventLog(store=store, learner=learner, metrics=metrics, snapshot_every=1000)
    return House(
        store=store,
        learner=learner,
        metrics=metrics,
        log=log,
        feedback=Recorder(store=store, log=log, metrics=metrics, learn_from="reward"),
        defaults=DefaultRewards(store=store, log=log, metrics=metrics),
    )


@asynccontextmanager
async def opened() -> AsyncIterator[House]:
    house = assembled(SqlStore(None), Learner(seed=0))
    await house.store.open()
    async with house.store.writing() as log:
        await log.append(make_start(prior_diagonal=DIAGONAL))
        for arm in ARMS:
            await log.append(make_arm_event(0, arm, MEAN))
    await house.learner.load(house.store)
    await house.log.start()
    try:
        yield house
    finally:
        await house.defaults.close()
        await house.log.close()
        await house.store.close()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with opened() as made:
        yield made


def closed(name: str = "decision-1", **changes: Any) -> Decision:
    """A decision whose window closed long ago."""
    made = make_decision(id=name, **changes)
    default = DEFAULT_REWARD if made.learnable else None
    return replace(made, closes_at=made.created_at + 1.0, default_reward=default)


def reward(decision: Decision, value: float) -> FeedbackEntry:
    """A feedback of the kind that teaches, ready to be written."""
    feedback = make_feedback("reward", value, decision_id=decision.id)
    return FeedbackEntry(
        feedback=feedback,
        decision=decision,
        resolved=resolve(feedback, decision),
        learn_from="reward",
    )


def still_open(name: str = "decision-1") -> Decision:
    now = time.time()
    return make_decision(id=name, created_at=now, closes_at=now + 1000.0, default_reward=DEFAULT_REWARD)


# the default


async def test_a_default_teaches_the_arm_that_chose_the_answer(house: House) -> None:
    await house.store.add_decisions([closed(x=np.array([1.0, 0.5]))])
    await house.defaults.learn_due()
    state = house.learner.state
    assert (state.position, state.decisions) == (EMPTY + 1, 1)
    taught = state.arms["loglik"]
    assert (taught.pulls, taught.updates, taught.reward_sum) == (1, 1, DEFAULT_REWARD)
    np.testing.assert_array_equal(taught.b, DEFAULT_REWARD * np.array([1.0, 0.5]))
    assert [(state.arms[arm].pulls, state.arms[arm].updates) for arm in ARMS[1:]] == [(0, 0)] * 2
    assert state.learn_from is None  # nobody has said anything yet


async def test_a_default_is_told_among_the_feedback_of_its_decision(house: House) -> None:
    await house.store.add_decisions([closed()])
    before = time.time()
    await house.defaults.learn_due()
    (row,) = await house.store.feedback_rows("decision-1")
    assert (row.key, row.identity) == ("", "default:decision-1")
    assert (row.body, row.learned, row.reward) == ({"default_reward": 0.25}, True, 0.25)
    assert row.position == EMPTY + 1
    assert before - 0.002 <= row.created_at <= time.time() + 0.002


async def test_a_default_is_counted_as_a_feedback_and_not_as_a_reward_that_someone_gave(house: House) -> None:
    await house.store.add_decisions([closed()])
    await house.defaults.learn_due()
    assert house.sample("laserve_feedback_total", kind="default", outcome="recorded") == 1
    assert house.sample("laserve_events_position") == EMPTY + 1
    assert house.sample("laserve_arm_pulls", arm="loglik") == 1
    assert house.sample("laserve_reward_count", arm="loglik", policy="linucb", task="none") == 0
    assert house.sample("laserve_feedback_delay_seconds_count") == 0


async def test_a_default_is_learned_once(house: House) -> None:
    await house.store.add_decisions([closed()])
    await asyncio.gather(*(house.defaults.learn("decision-1") for _ in range(10)))
    await house.defaults.learn_due()
    assert await house.kinds() == ["default"]
    assert house.sample("laserve_feedback_total", kind="default", outcome="recorded") == 1


async def test_a_default_is_learned_once_by_two_processes_that_race(house: House) -> None:
    other = assembled(house.store, Learner(seed=0))
    await other.learner.load(house.store)
    await other.log.start()
    await house.store.add_decisions([closed()])
    await asyncio.gather(house.defaults.learn_due(), other.defaults.learn_due())
    await other.log.close()
    assert await house.kinds() == ["default"]
    assert await house.store.pending() == 0


async def test_a_default_that_is_in_the_log_is_not_learned_again_though_it_seems_due(house: House) -> None:
    await house.store.add_decisions([closed()])
    await house.defaults.learn_due()
    assert house.store.path is not None
    with closing(sqlite3.connect(house.store.path)) as connection, connection:
        connection.execute("UPDATE decisions SET due_at = 1")
    assert await house.store.due(10) == ["decision-1"]
    await house.defaults.learn_due()
    assert await house.kinds() == ["default"]
    assert await house.store.pending() == 0


async def test_all_that_are_due_are_learned_however_many(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(defaults, "_PAGE", 3)
    names = [f"d{number}" for number in range(10)]
    await house.store.add_decisions([*(closed(name) for name in names), still_open("open")])
    await house.defaults.learn_due()
    assert sorted(row.decision_id for row in await house.store.feedback_rows()) == names
    assert await house.store.pending() == 1


async def test_a_deleted_decision_gets_no_default(house: House) -> None:
    await house.store.add_decisions([closed("kept"), closed("deleted")])
    await house.store.erase("deleted", now=5.0)
    await house.defaults.learn("deleted")  # as when it is deleted just after it was found due
    await house.defaults.learn_due()
    assert [row.decision_id for row in await house.store.feedback_rows()] == ["kept"]


async def test_a_decision_whose_texts_have_expired_gets_its_default(house: House) -> None:
    await house.store.add_decisions([closed()])
    assert await house.store.expire_texts(before=2e9) == 1
    await house.defaults.learn_due()
    assert await house.kinds() == ["default"]


@pytest.mark.parametrize("change", [{"propensity": None}, {"scored_by": None}], ids=["pinned", "unscored"])
async def test_a_decision_that_cannot_teach_gets_no_default(house: House, change: dict[str, Any]) -> None:
    await house.store.add_decisions([closed(**change)])
    await house.defaults.learn_due()
    await house.defaults.learn("decision-1")
    assert await house.kinds() == []


# feedback and the default


async def test_feedback_in_time_takes_the_place_of_the_default(house: House) -> None:
    await house.store.add_decisions([still_open()])
    outcome = await house.feedback.record(make_feedback("reward", 0.75))
    assert (outcome.status, outcome.learned) == ("recorded", True)
    assert await house.store.pending() == 0
    await house.defaults.learn("decision-1")  # as when it was found due just before
    (event,) = [event async for event in house.store.events(after=EMPTY)]
    assert event.body == {
        "kind": "reward",
        "played": "loglik",
        "reward": 0.75,
        "learned": True,
        "drawn": "loglik",
        "propensity": 0.5,
        "ordinal": 1,
    }


async def test_feedback_of_a_kind_that_does_not_teach_leaves_the_default_due(house: House) -> None:
    await house.store.add_decisions([closed()])
    outcome = await house.feedback.record(make_feedback("thumb", 1.0))
    assert (outcome.status, outcome.learned) == ("late", False)
    assert await house.store.pending() == 1
    await house.defaults.learn_due()
    assert await house.kinds() == ["thumb", "default"]
    assert house.learner.state.arms["loglik"].reward_sum == DEFAULT_REWARD


async def test_feedback_after_the_window_is_late_and_replaces_the_default(house: House) -> None:
    await house.store.add_decisions([closed()])
    await house.defaults.learn_due()
    feedback = make_feedback("reward", 1.0)
    outcome = await house.feedback.record(feedback)
    assert (outcome.status, outcome.learned, outcome.reward) == ("late", True, 1.0)
    assert (await house.feedback.record(feedback)).status == "duplicate"
    events = [event async for event in house.store.events(after=EMPTY)]
    assert [event.body.get("late") for event in events] == [None, True]
    assert events[1].replaces == events[0].updates == (Update(arm="loglik", reward=DEFAULT_REWARD),)
    state = house.learner.state
    assert (state.decisions, state.learn_from) == (1, "reward")
    taught = state.arms["loglik"]
    assert (taught.pulls, taught.updates, taught.reward_sum) == (1, 1, 1.0)
    assert house.sample("laserve_feedback_total", kind="reward", outcome="late") == 1
    assert house.sample("laserve_feedback_total", kind="reward", outcome="duplicate") == 1
    assert house.sample("laserve_reward_count", arm="loglik", policy="linucb", task="none") == 1


async def test_late_feedback_before_the_default_leaves_none(house: House) -> None:
    await house.store.add_decisions([closed()])
    assert (await house.feedback.record(make_feedback("reward", 1.0))).status == "late"
    await house.defaults.learn_due()
    assert await house.kinds() == ["reward"]


async def test_without_a_default_feedback_may_be_late_as_well(house: House) -> None:
    await house.store.add_decisions([replace(closed(), default_reward=None)])
    assert (await house.feedback.record(make_feedback("reward", 1.0))).status == "late"


async def test_feedback_behind_the_default_in_one_transaction_replaces_it(house: House) -> None:
    await house.store.add_decisions([decision := closed()])
    async with house.store.writing() as log:
        state, now = house.learner.state.fork(), await log.now()
        (default,) = (await write_entry(log, state, DefaultEntry(decision_id=decision.id), now)).events
        (feedback,) = (await write_entry(log, state, reward(decision, 1.0), now)).events
    assert default.decision_id == decision.id
    assert feedback.replaces == default.updates
    house.learner.apply([default, feedback])
    assert house.learner.state.arms["loglik"].reward_sum == 1.0


async def test_a_default_behind_feedback_in_one_transaction_is_not_appended(house: House) -> None:
    await house.store.add_decisions([decision := closed()])
    async with house.store.writing() as log:
        state, now = house.learner.state.fork(), await log.now()
        await write_entry(log, state, reward(decision, 1.0), now)
        with pytest.raises(Conflict):
            await write_entry(log, state, DefaultEntry(decision_id=decision.id), now)
    assert await house.kinds() == ["reward"]
    assert await house.store.pending() == 0


async def test_the_log_verifies_with_defaults_late_feedback_and_deleted_decisions(house: House) -> None:
    await house.store.add_decisions([closed(f"d{number}") for number in range(4)])
    await house.feedback.record(make_feedback("thumb", 1.0, decision_id="d0"))
    await house.defaults.learn_due()
    for name in ("d0", "d1", "d2"):
        await house.feedback.record(make_feedback("reward", 1.0, decision_id=name))
    await house.store.add_snapshot(house.learner.snapshot(1.0))
    await house.store.erase("d1", now=5.0)
    await house.store.expire_texts(before=2e9)
    verified = await verify(house.store)
    assert (verified.events, verified.feedback) == (EMPTY + 8, 8)
    assert verified.digest == house.learner.state.digest()


# any order

NAMES = ("d0", "d1", "d2")
#: What may happen to a decision: its default falls due, or someone speaks, in a kind that teaches or not.
STEPS = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.just(("default", DEFAULT_REWARD))
        | st.tuples(st.sampled_from(["reward", "thumb"]), st.floats(0, 1)),
    ),
    max_size=10,
)


def context(name: str) -> np.ndarray:
    return np.array([1.0, float(name[1:]) - 0.5])


def only_the_last(steps: Sequence[tuple[str, tuple[str, float]]]) -> BanditState:
    """The state of a log that holds one contribution a decision, the one that stands in the end."""
    standing: dict[str, float] = {}
    for name, (kind, reward) in steps:
        if kind == "reward":
            standing[name] = reward
        elif kind == "default":
            standing.setdefault(name, reward)
    script = Script(prior_diagonal=DIAGONAL, prior_mean=MEAN, arms=ARMS)
    for name, reward in standing.items():
        script.teach(name, context(name), [Update(arm="loglik", reward=reward)])
    state = BanditState()
    for event in script.events:
        state.apply(event)
    return state


@settings(max_examples=40)
@given(steps=STEPS)
async def test_whatever_the_order_a_decision_contributes_once_and_the_last_word_counts(steps: Any) -> None:
    async with opened() as house:
        await house.store.add_decisions([closed(name, x=context(name)) for name in NAMES])
        for number, (name, (kind, reward)) in enumerate(steps):
            if kind == "default":
                await house.defaults.learn(name)
            else:
                said = make_feedback(kind, reward, decision_id=name, idempotency_key=f"{number}")
                outcome = await house.feedback.record(said)
                assert (outcome.status, outcome.learned) == ("late", kind == "reward")
        state, expected = house.learner.state, only_the_last(steps)
        assert state.decisions == expected.decisions
        for arm in ARMS:
            ours, theirs = state.arms[arm], expected.arms[arm]
            assert (ours.pulls, ours.updates) == (theirs.pulls, theirs.updates)
            assert ours.reward_sum == pytest.approx(theirs.reward_sum, abs=1e-9)
            np.testing.assert_allclose(ours.S, theirs.S, atol=1e-9)
            np.testing.assert_allclose(ours.b, theirs.b, atol=1e-9)
        assert (await verify(house.store)).digest == state.digest()
        assert await house.store.pending() == len(NAMES) - state.decisions


# looking on in the background


async def until(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not await condition():
        assert time.monotonic() < deadline


async def test_how_many_are_pending_is_told_before_anything_is_served(house: House) -> None:
    await house.store.add_decisions([still_open("d1"), still_open("d2")])
    await house.defaults.start()
    assert house.sample("laserve_feedback_pending") == 2


async def test_defaults_are_learned_in_the_background_as_they_fall_due(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(defaults, "_LOOK_EVERY_S", 0.01)
    await house.defaults.start()
    soon = replace(closed("soon"), closes_at=time.time() + 0.1)
    await house.store.add_decisions([soon, still_open("open")])

    async def learned() -> bool:
        return len(await house.store.feedback_rows()) > 0

    await until(learned)
    (row,) = await house.store.feedback_rows()
    assert row.decision_id == "soon"
    assert row.created_at > (soon.closes_at or 0)


async def test_a_store_that_refuses_is_asked_again(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refusals = 3
    due = house.store.due

    async def refusing(limit: int) -> Sequence[str]:
        nonlocal refusals
        if refusals:
            refusals -= 1
            raise StoreError("the database refused: the disk is full")
        return await due(limit)

    monkeypatch.setattr(house.store, "due", refusing)
    monkeypatch.setattr(defaults, "_LOOK_EVERY_S", 0.01)
    await house.store.add_decisions([closed()])
    with caplog.at_level(logging.WARNING):
        await house.defaults.start()

        async def settled() -> bool:
            return await house.store.pending() == 0

        await until(settled)
    assert [record.message for record in caplog.records] == [
        "default rewards could not be learned: the database refused: the disk is full"
    ] * 3
    assert await house.kinds() == ["default"]


async def test_nothing_is_learned_any_more_once_it_is_closed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(defaults, "_LOOK_EVERY_S", 0.0)
    await house.defaults.start()
    await house.defaults.close()
    await house.defaults.close()
    await house.store.add_decisions([closed()])
    for _ in range(20):  # a look would be over by then
        assert await house.store.pending() == 1
