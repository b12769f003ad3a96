import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from builders import make_arm_event, make_decision, make_feedback, make_start
from laserve.errors import CorruptLog
from laserve.eventlog.event_log import EventLog
from laserve.eventlog.learner import Learner, fold
from laserve.feedback.record import Recorder
from laserve.history.verify import Verified, verify_store
from laserve.metrics import Metrics
from laserve.storage.base import Snapshot
from laserve.storage.store import SqlStore

#: Events of the log that `house` writes: a start, three arms, then feedback.
FIRST_FEEDBACK = 5
FEEDBACKS = 6
LAST = FIRST_FEEDBACK + FEEDBACKS - 1


@pytest.fixture
async def house(tmp_path: Path) -> Path:
    """A closed database with feedback on six decisions, and a snapshot after every third."""
    path = tmp_path / "laserve.db"
    store = SqlStore(path)
    await store.open()
    arms = ("loglik", "consensus", "relevance")
    async with store.writing() as log:
        await log.append(make_start(prior_diagonal=[1.0, 2.0]))
        for arm in arms:
            await log.append(make_arm_event(0, arm, [0.5, 0.0]))
    learner = Learner(seed=0)
    await learner.load(store)
    await store.add_decisions(
        [make_decision(id=f"d{number}", x=np.array([1.0, number / 8])) for number in range(FEEDBACKS)]
    )
    log_of_events = EventLog(store=store, learner=learner, metrics=Metrics(), snapshot_every=1000)
    recorder = Recorder(store=store, log=log_of_events, metrics=Metrics())
    await log_of_events.start()
    for number in range(FEEDBACKS):
        await recorder.record(make_feedback("reward", number / 8, decision_id=f"d{number}"))
        if number % 3 == 2:
            await store.add_snapshot(learner.snapshot(now=1.0))
    await log_of_events.close()
    await store.close()
    return path


def alter(path: Path, statement: str, *values: object) -> None:
    """Change the database directly; the statement must affect one row."""
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement, values).rowcount == 1


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


async def verify(path: Path) -> Verified:
    return await verify_store(SqlStore(path, read_only=True))


def alter_reward_of_event(path: Path) -> None:
    ((payload,),) = rows(path, "SELECT payload FROM events WHERE position = 6")
    content = json.loads(str(payload))
    content["updates"][0][1] = 0.875
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    alter(path, "UPDATE events SET payload = ? WHERE position = 6", text)


async def test_a_sound_log_verifies(house: Path) -> None:
    verified = await verify(house)
    assert (verified.events, verified.feedback, verified.snapshot) == (LAST, FEEDBACKS, LAST)
    store = SqlStore(house)
    await store.open()
    assert verified.digest == (await fold(store)).digest()
    await store.close()


async def test_verifying_changes_nothing(house: Path) -> None:
    tables = ("events", "feedback", "decisions", "snapshots")
    before = [rows(house, f"SELECT * FROM {table}") for table in tables]
    assert await verify(house) == await verify(house)
    assert [rows(house, f"SELECT * FROM {table}") for table in tables] == before


async def test_a_log_verifies_while_a_service_holds_it(house: Path) -> None:
    at_rest = await verify(house)
    store = SqlStore(house)
    await store.open()
    try:
        assert await verify(house) == at_rest
    finally:
        await store.close()


async def test_an_empty_log_verifies(tmp_path: Path) -> None:
    verified = await verify_store(SqlStore(tmp_path / "new.db"))
    assert (verified.events, verified.feedback, verified.snapshot) == (0, 0, None)


async def test_erased_and_expired_texts_leave_the_log_sound(house: Path) -> None:
    before = await verify(house)
    store = SqlStore(house)
    await store.open()
    await store.erase("d2", now=2.0)
    assert await store.expire_texts(before=1e12) == FEEDBACKS - 1
    await store.close()
    assert await verify(house) == before


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (alter_reward_of_event, "event 6 was altered"),
        (
            lambda path: alter(
                path,
                "UPDATE events SET x = ? WHERE position = 7",
                np.array([1.0, 9.0]).tobytes(),
            ),
            "event 7 was altered",
        ),
        (
            lambda path: alter(path, "UPDATE events SET decision_id = 'd0' WHERE position = 7"),
            "event 7 was altered",
        ),
        (
            lambda path: alter(path, "UPDATE events SET created_at = 0.5 WHERE position = 5"),
            "event 5 was altered",
        ),
        (
            lambda path: alter(path, "UPDATE events SET checksum = 'x' WHERE position = 8"),
            "event 8 was altered",
        ),
        (
            lambda path: alter(path, "UPDATE feedback SET reward = 0.75 WHERE position = 6"),
            "the feedback on decision d1 does not match event 6",
        ),
        (
            lambda path: alter(path, "UPDATE feedback SET learned = 0 WHERE position = 7"),
            "the feedback on decision d2 does not match event 7",
        ),
        (
            lambda path: alter(path, "UPDATE feedback SET decision_id = 'd5' WHERE position = 7"),
            "the feedback on decision d5 does not match event 7",
        ),
        (
            lambda path: alter(path, "UPDATE feedback SET position = 5 WHERE position = 6"),
            "does not match event 5",
        ),
        (lambda path: alter(path, "DELETE FROM feedback WHERE position = 8"), "event 8 has no feedback"),
        (
            lambda path: alter(path, "DELETE FROM events WHERE position = ?", LAST),
            f"event {LAST} was acknowledged",
        ),
        (lambda path: alter(path, "DELETE FROM events WHERE position = 7"), "event 7 is missing"),
        (lambda path: alter(path, "DELETE FROM events WHERE position = 1"), "event 1 is missing"),
    ],
    ids=[
        "altered reward",
        "altered context",
        "altered decision",
        "altered time",
        "altered checksum",
        "altered feedback reward",
        "altered feedback learned",
        "altered feedback decision",
        "moved feedback",
        "deleted feedback",
        "deleted tail event",
        "deleted middle event",
        "deleted first event",
    ],
)
async def test_a_damaged_log_is_refused_with_the_first_thing_that_does_not_hold(
    house: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(house)
    with pytest.raises(CorruptLog, match=message):
        await verify(house)


async def test_a_damaged_log_cannot_be_loaded_either(house: Path) -> None:
    with closing(sqlite3.connect(house)) as connection, connection:
        connection.execute("DELETE FROM snapshots")
    alter_reward_of_event(house)
    store = SqlStore(house)
    await store.open()
    with pytest.raises(CorruptLog, match="event 6 was altered"):
        await Learner(seed=0).load(store)
    await store.close()


async def test_a_tail_deleted_with_its_feedback_is_told_by_the_snapshot(house: Path) -> None:
    alter(house, "DELETE FROM events WHERE position = ?", LAST)
    alter(house, "DELETE FROM feedback WHERE position = ?", LAST)
    with pytest.raises(CorruptLog, match=f"event {LAST} was acknowledged"):
        await verify(house)


@pytest.mark.parametrize(
    "tear",
    [
        "UPDATE snapshots SET payload = substr(payload, 1, 100) WHERE position = ?",
        "UPDATE snapshots SET payload = zeroblob(length(payload)) WHERE position = ?",
        "UPDATE snapshots SET checksum = 'x' WHERE position = ?",
    ],
)
async def test_a_torn_snapshot_is_passed_over_for_the_one_before(house: Path, tear: str) -> None:
    digest = (await verify(house)).digest
    assert rows(house, "SELECT position FROM snapshots ORDER BY position") == [(7,), (LAST,)]
    alter(house, tear, LAST)
    verified = await verify(house)
    assert (verified.snapshot, verified.digest) == (7, digest)
    alter(house, tear, 7)
    verified = await verify(house)
    assert (verified.snapshot, verified.digest) == (None, digest)


async def test_a_snapshot_of_another_state_is_refused(house: Path) -> None:
    # Its checksum and its digest hold, but it is not the state of the log at its position.
    store = SqlStore(house)
    await store.open()
    state = await fold(store)
    state.arms["loglik"].b += 1.0
    await store.add_snapshot(
        Snapshot(position=LAST, digest=state.digest(), payload=state.to_bytes(), created_at=1.0)
    )
    await store.close()
    with pytest.raises(CorruptLog, match=f"the snapshot at {LAST} is not the state of the log there"):
        await verify(house)
