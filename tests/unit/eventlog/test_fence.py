"""No event gets into the log that its next reader could not fold, and no other log is gone on with."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import make_arm_event, make_feedback, make_teaching
from houses import ARMS, House, decided, opened
from laserve.errors import Damaged, StoreError
from laserve.eventlog.learner import Learner, fold
from laserve.history.verify import verify
from laserve.storage import rows
from laserve.types import Event, FeedbackOutcome, Update

DECISIONS = 8


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path / "laserve.db") as made:
        await made.store.add_decisions([decided(number) for number in range(DECISIONS)])
        for number in (0, 1):
            await made.say(number, 0.5)
        yield made


def behind_its_back(house: House, statement: str, *values: Any) -> list[Any]:
    """Run one statement on its database, as another program does."""
    assert house.store.path is not None
    with closing(sqlite3.connect(house.store.path)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def write_behind_its_back(house: House, *events: Event) -> None:
    """Append events with right checksums, as another laserve does."""
    [(position, previous)] = behind_its_back(
        house, "SELECT position, checksum FROM events ORDER BY position DESC LIMIT 1"
    )
    for event in events:
        position += 1
        row = rows.event_row(replace(event, position=position), previous)
        previous = row["checksum"]
        names = ", ".join(row)
        marks = ", ".join("?" for _ in row)
        behind_its_back(house, f"INSERT INTO events ({names}) VALUES ({marks})", *row.values())


def lesson(number: int, ordinal: int, **changes: Any) -> Event:
    updates = [Update(arm="loglik", reward=0.75)]
    told = {"ordinal": ordinal, "drawn": "loglik", "propensity": 0.5}
    x = np.array([1.0, number / 4])
    return replace(make_teaching(0, x, updates, decision_id=f"d-{number}", **told), **changes)


async def check_whole(house: House) -> None:
    """The state is that of the log."""
    assert (await fold(house.store)).digest() == house.learner.state.digest()


async def check_stopped(house: House, match: str) -> None:
    """The store refuses all further writes, says why, and the log stays as it is."""
    before = behind_its_back(house, "SELECT * FROM events"), behind_its_back(house, "SELECT * FROM feedback")
    for _ in range(2):
        with pytest.raises(StoreError, match=match):
            await house.say(2, 0.5)
        with pytest.raises(StoreError, match=match):
            await house.log.append(make_arm_event(0, "another", [0.5, 0.0]))
        with pytest.raises(StoreError, match=match):
            await house.store.add_decisions([decided(99)])
        assert house.store.refusing
        with pytest.raises(StoreError, match=match):
            await house.store.check()
    after = behind_its_back(house, "SELECT * FROM events"), behind_its_back(house, "SELECT * FROM feedback")
    assert after == before


async def test_events_of_another_process_are_learned_before_the_next_feedback(house: House) -> None:
    write_behind_its_back(house, make_arm_event(0, "late", [0.25, 0.0]), lesson(7, ordinal=3))
    outcome = await house.say(2, 1.0)
    assert outcome.learned
    assert [event.body.get("ordinal") for event in await house.events()] == [1, 2, None, 3, 4]
    assert house.learner.state.decisions == 4
    assert house.learner.state.arms["late"].updates == 0
    await check_whole(house)
    await house.say(3, 1.0)
    await check_whole(house)
    assert not house.store.refusing


async def test_a_decision_that_another_process_has_taught_is_corrected(house: House) -> None:
    write_behind_its_back(house, lesson(4, ordinal=3))
    await house.say(4, 0.0)
    *_, last = await house.events()
    assert (last.body["ordinal"], last.body["replaced_reward"]) == (3, 0.75)
    assert house.learner.state.decisions == 3
    await check_whole(house)


async def test_events_of_another_process_are_learned_also_when_nothing_is_recorded(house: House) -> None:
    write_behind_its_back(house, lesson(7, ordinal=3))
    repeat = await house.say(0, 0.5)
    assert repeat.status == "duplicate"
    await check_whole(house)


@pytest.mark.parametrize(
    "foreign",
    [
        lesson(7, ordinal=9),
        lesson(7, ordinal=3, x=np.array([1.0])),
        lesson(7, ordinal=3, x=None),
        lesson(7, ordinal=3, updates=(Update(arm="unknown", reward=0.5),)),
        Event(kind="arm", created_at=1.0, body={"name": "late"}),
        Event(kind="from the future", created_at=1.0),
    ],
    ids=["its number", "its context", "no context", "its arm", "its prior", "its kind"],
)
async def test_events_of_another_process_that_do_not_fold_stop_the_store(
    house: House, foreign: Event
) -> None:
    write_behind_its_back(house, foreign)
    await check_stopped(house, r"another process .* event 7\b")
    # The learned state is of no further use, but what was answered by it can be read.
    assert (await house.store.decision("d-2")).id == "d-2"


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM events WHERE position = 6",
        "DELETE FROM events",
        "UPDATE events SET checksum = 'other' WHERE position = 6",
        "UPDATE events SET position = 60 WHERE position = 6",
    ],
    ids=["cut short", "emptied", "altered", "moved"],
)
async def test_a_log_that_is_not_the_acknowledged_one_stops_the_store(house: House, change: str) -> None:
    behind_its_back(house, change)
    await check_stopped(house, r"event 6 of the log is not the one that was acknowledged")


async def test_a_stopped_store_starts_where_the_log_is(tmp_path: Path) -> None:
    async with opened(tmp_path / "laserve.db") as house:
        await house.store.add_decisions([decided(number) for number in range(DECISIONS)])
        await house.say(0, 0.5)
        await house.say(1, 0.5)
        behind_its_back(house, "DELETE FROM events WHERE position = 6")
        behind_its_back(house, "DELETE FROM feedback WHERE position = 6")
        await check_stopped(house, "event 6")
    async with opened(tmp_path / "laserve.db") as house:
        assert house.learner.state.decisions == 1
        await house.say(1, 0.5)
        await check_whole(house)


async def test_what_was_committed_and_not_learned_stops_the_store_and_is_learned_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path / "laserve.db") as house:
        await house.store.add_decisions([decided(number) for number in range(DECISIONS)])
        await house.say(0, 0.5)
        with monkeypatch.context() as patch:

            def failing(self: Learner, state: Any, events: Any) -> None:
                raise MemoryError("told to fail")

            patch.setattr(Learner, "adopt", failing)
            with pytest.raises(MemoryError):
                await house.say(1, 0.5)
        assert house.learner.state.decisions == 1
        await check_stopped(house, "told to fail")
    async with opened(tmp_path / "laserve.db") as house:
        assert house.learner.state.decisions == 2
        assert (await house.say(1, 0.5)).status == "duplicate"
        await house.say(2, 0.5)
        await check_whole(house)
        await verify(house.store)


#: How a decision's row can be damaged so that it cannot teach.
DAMAGES = {
    "its context is cut": "x = substr(x, 1, 8)",
    "its context is cut in a number": "x = substr(x, 1, 13)",
    "its context is too long": "x = CAST(x || x AS BLOB)",
    "its context is empty": "x = x''",
    "its context is no number": "x = CAST(substr(x, 1, 8) || x'000000000000f87f' AS BLOB)",
    "its context is without end": "x = CAST(substr(x, 1, 8) || x'000000000000f07f' AS BLOB)",
    "its context is absurdly large": "x = CAST(substr(x, 1, 8) || x'000000000000507f' AS BLOB)",
    "its record is broken": "record = substr(record, 1, 40)",
    "its record is no object": "record = '[]'",
    "its record lacks a field": "record = replace(record, '\"propensity\"', '\"propensitx\"')",
    "its record is not UTF-8": "record = CAST(x'7bff7d' AS TEXT)",
    "its arm is unknown": 'record = replace(record, \'"arm":"loglik"\', \'"arm":"loglix"\')',
    "its propensity is nothing": "record = replace(record, '\"propensity\":0.5', '\"propensity\":0.0')",
    "its propensity is no number": "record = replace(record, '\"propensity\":0.5', '\"propensity\":NaN')",
    "its propensity is text": 'record = replace(record, \'"propensity":0.5\', \'"propensity":""\')',
    "its texts are broken": "texts = substr(texts, 1, 20)",
}


def damage(house: House, number: int, how: str) -> None:
    behind_its_back(house, f"UPDATE decisions SET {how} WHERE id = ?", f"d-{number}")


@pytest.mark.parametrize("how", DAMAGES.values(), ids=DAMAGES.keys())
async def test_a_damaged_decision_costs_its_own_feedback_and_nobody_elses(house: House, how: str) -> None:
    damage(house, 3, how)
    position = house.learner.state.position
    with pytest.raises(Damaged) as refused:
        await house.say(3, 0.5)
    assert (refused.value.code, refused.value.status) == ("damaged", 500)
    assert house.learner.state.position == position

    said = [make_feedback("reward", 0.5, decision_id=f"d-{number}") for number in (2, 3, 4, 3, 5)]
    outcomes = await house.recorder.record_all(said)
    assert [isinstance(each, FeedbackOutcome) and each.status for each in outcomes] == [
        "recorded",
        False,
        "recorded",
        False,
        "recorded",
    ]
    assert [each.code for each in outcomes if not isinstance(each, FeedbackOutcome)] == ["damaged"] * 2
    assert (await house.say(6, 0.5)).learned
    assert not house.store.refusing
    await house.store.check()
    assert behind_its_back(house, "SELECT count(*) FROM feedback WHERE decision_id = 'd-3'") == [(0,)]
    await check_whole(house)
    await verify(house.store)


async def test_a_feedback_that_teaches_nothing_needs_no_context(house: House) -> None:
    damage(house, 3, DAMAGES["its context is no number"])
    outcome = await house.recorder.record(make_feedback("thumb", 1.0, decision_id="d-3"))
    assert (outcome.status, outcome.learned) == ("recorded", False)


async def test_a_decision_that_is_damaged_while_its_feedback_waits_is_refused(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It was whole when it was looked up, and is not when it is to be written.
    looked_up = house.store.decision

    async def then_damaged(decision_id: str) -> Any:
        found = await looked_up(decision_id)
        damage(house, 3, DAMAGES["its context is cut"])
        return found

    monkeypatch.setattr(house.store, "decision", then_damaged)
    with pytest.raises(Damaged):
        await house.say(3, 0.5)
    await check_whole(house)


@pytest.mark.parametrize("how", DAMAGES.values(), ids=DAMAGES.keys())
async def test_the_default_of_a_damaged_decision_is_dropped_and_the_others_are_learned(
    house: House, how: str
) -> None:
    owed = {"closes_at": 1.0, "default_reward": 0.25}
    await house.store.add_decisions([decided(number, **owed) for number in (20, 21, 22)])
    damage(house, 21, how)
    due = await house.store.due(10)
    assert len(due) == 3
    await asyncio.gather(*(house.learn_default(decision_id) for decision_id in due))
    assert await house.store.due(10) == []
    assert [event.decision_id for event in await house.events()][2:] == ["d-20", "d-22"]
    await check_whole(house)


@pytest.mark.parametrize("how", DAMAGES.values(), ids=DAMAGES.keys())
async def test_a_damaged_decision_can_be_erased(house: House, how: str) -> None:
    damage(house, 3, how)
    await house.store.erase("d-3", now=5.0)
    assert behind_its_back(house, "SELECT texts FROM decisions WHERE id = 'd-3'") == [(None,)]


@pytest.mark.parametrize(
    "event",
    [
        Event(kind="start", created_at=1.0),
        Event(kind="arm", created_at=1.0),
        Event(kind="arm_state", created_at=1.0, body={"name": "unknown", "state": "retired"}),
        Event(kind="arm_state", created_at=1.0, body={}),
        Event(kind="unheard of", created_at=1.0),
    ],
    ids=["a start without its settings", "an arm without a name", "an unknown arm", "no arm", "no kind"],
)
async def test_events_that_do_not_fold_are_refused_together_and_leave_no_trace(
    house: House, event: Event
) -> None:
    digest = house.learner.state.digest()
    good = make_arm_event(0, "good", [0.5, 0.0])
    for events in ((event,), (good, event), (event, good)):
        with pytest.raises(Damaged):
            await house.log.append(*events)
    assert house.learner.state.digest() == digest
    assert tuple(house.learner.state.arms) == ARMS
    await check_whole(house)
    await house.log.append(good)
    await house.say(2, 0.5)
    await check_whole(house)


async def test_a_refused_event_leaves_others_of_the_same_moment_in_their_order(house: House) -> None:
    damage(house, 3, DAMAGES["its context is cut"])
    said: Sequence[Any] = [house.say(number, 0.5) for number in (5, 3, 2)]
    results = await asyncio.gather(
        *said, house.log.append(Event(kind="no", created_at=1.0)), return_exceptions=True
    )
    assert [type(result) for result in results] == [FeedbackOutcome, Damaged, FeedbackOutcome, Damaged]
    assert [event.decision_id for event in await house.events()][2:] == ["d-5", "d-2"]
    assert [event.body["ordinal"] for event in await house.events()] == [1, 2, 3, 4]
    await check_whole(house)
