"""The one writer of the log, on a store in memory, with entries of the tests' own."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from builders import make_arm_event, make_start, make_teaching
from laserve.bandit.state.fold import BanditState
from laserve.errors import Conflict, CorruptLog, Damaged, StoreError
from laserve.eventlog.event_log import Entry, EventLog, Events, Written, write_entry
from laserve.eventlog.learner import Learner, fold
from laserve.metrics import Metrics
from laserve.storage.base import LogWriter, Snapshot
from laserve.storage.store import SqlStore
from laserve.types import Event, Update

FIRST = [make_start(prior_diagonal=[1.0]), make_arm_event(2, "one", [0.5])]
NEVER = Event(kind="unheard of", created_at=0.0)


def teaching(decision: str = "d", reward: float = 1.0) -> Event:
    return make_teaching(0, [1.0], [Update(arm="one", reward=reward)], decision_id=decision)


@dataclass
class Note(Entry[int]):
    """An entry that appends its events, or refuses itself."""

    events: Sequence[Event] = ()
    refusal: Exception | None = None
    #: Position and decisions of the state that it was written on.
    seen: list[tuple[int, int]] = field(default_factory=list)
    observed: list[Metrics] = field(default_factory=list)

    async def write(self, log: LogWriter, state: BanditState, now: float) -> Written[int]:
        self.seen.append((state.position, state.decisions))
        if self.refusal is not None:
            raise self.refusal
        placed = tuple([await log.append(event) for event in self.events])
        return Written(result=len(placed), events=placed, observe=self.observed.append)


class House:
    """A store, what was learned of its log, and the log's writer."""

    def __init__(self, store: SqlStore, *, snapshot_every: int = 1000) -> None:
        self.store = store
        self.learner = Learner(seed=0)
        self.metrics = Metrics()
        self.log = EventLog(
            store=store, learner=self.learner, metrics=self.metrics, snapshot_every=snapshot_every
        )

    async def start(self) -> "House":
        await self.learner.load(self.store)
        await self.log.start()
        return self

    async def logged(self) -> list[Event]:
        return [event async for event in self.store.events(after=len(FIRST))]

    def sample(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(name)

    def alter(self, statement: str) -> None:
        """Change the database behind the service's back."""
        assert self.store.path is not None
        with closing(sqlite3.connect(self.store.path)) as connection, connection:
            assert connection.execute(statement).rowcount == 1


@pytest.fixture
async def store() -> AsyncIterator[SqlStore]:
    made = SqlStore(None)
    await made.open()
    async with made.writing() as log:
        for event in FIRST:
            await log.append(event)
    yield made
    await made.close()


@pytest.fixture
async def house(store: SqlStore) -> AsyncIterator[House]:
    made = await House(store).start()
    yield made
    await made.log.close()


def commits(house: House, monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One item for each transaction on the log from now on."""
    counted: list[None] = []
    writing = house.store.writing

    def count() -> Any:
        counted.append(None)
        return writing()

    monkeypatch.setattr(house.store, "writing", count)
    return counted


# entries


async def test_an_entry_is_durable_and_learned_once_it_is_answered(house: House) -> None:
    assert await house.log.submit(Note([teaching("a"), teaching("b")])) == 2
    assert [event.decision_id for event in await house.logged()] == ["a", "b"]
    assert house.learner.state.decisions == 2
    assert house.learner.state.digest() == (await fold(house.store)).digest()
    assert house.sample("laserve_events_position") == len(FIRST) + 2


async def test_entries_that_arrive_together_are_committed_together_in_their_order(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = commits(house, monkeypatch)
    await asyncio.gather(*(house.log.submit(Note([teaching(name)])) for name in "abcde"))
    assert len(counted) == 1
    assert [event.decision_id for event in await house.logged()] == [*"abcde"]


async def test_an_entry_is_written_on_the_state_that_those_in_front_of_it_have_left(house: House) -> None:
    notes = [Note([teaching("a")]), Note(), Note([teaching("b"), teaching("c")]), Note([teaching("d")])]
    await asyncio.gather(*(house.log.submit(note) for note in notes))
    assert [note.seen for note in notes] == [[(2, 0)], [(3, 1)], [(3, 1)], [(5, 3)]]


async def test_an_entry_that_refuses_itself_costs_the_others_nothing(house: House) -> None:
    refusal = Conflict("decision_id: no")
    answers = await asyncio.gather(
        house.log.submit(Note([teaching("a")])),
        house.log.submit(Note(refusal=refusal)),
        house.log.submit(Note([teaching("b")])),
        return_exceptions=True,
    )
    assert answers == [1, refusal, 1]
    assert [event.decision_id for event in await house.logged()] == ["a", "b"]


async def test_an_event_that_cannot_be_folded_is_refused_alone_and_never_reaches_the_log(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        first, refused, last = await asyncio.gather(
            house.log.submit(Note([teaching("a")])),
            house.log.submit(Note([teaching("lost"), NEVER])),
            house.log.submit(Note([teaching("b")])),
            return_exceptions=True,
        )
    assert (first, last) == (1, 1)
    assert isinstance(refused, Damaged)
    assert "unknown kind 'unheard of'" in refused.message
    assert [event.decision_id for event in await house.logged()] == ["a", "b"]
    assert house.learner.state.digest() == (await fold(house.store)).digest()
    assert caplog.messages == [
        "an event was refused, because it cannot be folded in: event 5 has the unknown kind 'unheard of'"
    ]


async def test_plain_events_get_their_position_and_time_from_the_log_and_are_appended_all_or_none(
    house: House,
) -> None:
    await house.log.append(make_arm_event(0, "two", [0.25]), make_arm_event(0, "three", [0.25]))
    with pytest.raises(Damaged, match="nothing was recorded"):
        await house.log.append(make_arm_event(0, "four", [0.25]), NEVER)
    two, three = await house.logged()
    assert (two.position, three.position) == (3, 4)
    assert two.created_at == three.created_at > 1e9
    assert [*house.learner.state.arms] == ["one", "two", "three"]


async def test_an_entry_is_folded_before_its_transaction_ends(store: SqlStore) -> None:
    state = BanditState()
    for event in FIRST:
        state.apply(event)
    async with store.writing() as log:
        written = await write_entry(log, state, Events([teaching()]), 7.0)
        assert (state.position, state.decisions) == (3, 1)
    assert written.result == written.events
    with pytest.raises(CorruptLog):
        async with store.writing() as log:
            await write_entry(log, state, Events([NEVER]), 8.0)
    assert [event.created_at async for event in store.events(after=2)] == [7.0]


async def test_an_entry_is_counted_once_its_events_are_durable_and_learned(house: House) -> None:
    learned: list[tuple[int, int]] = []

    class Counted(Note):
        async def write(self, log: LogWriter, state: BanditState, now: float) -> Written[int]:
            return replace(await super().write(log, state, now), observe=self.count)

        def count(self, metrics: Metrics) -> None:
            assert house.store.path is not None
            with closing(sqlite3.connect(house.store.path)) as connection:
                (durable,) = connection.execute("SELECT max(position) FROM events").fetchone()
            learned.append((durable, house.learner.state.position))

    await asyncio.gather(*(house.log.submit(Counted([teaching(name)])) for name in "ab"))
    assert learned == [(4, 4), (4, 4)]


async def test_an_entry_that_is_not_written_is_not_counted(house: House) -> None:
    notes = [Note([teaching(), NEVER]), Note(refusal=Conflict("no"))]
    await asyncio.gather(*(house.log.submit(note) for note in notes), return_exceptions=True)
    assert [note.observed for note in notes] == [[], []]


async def test_a_database_that_refuses_leaves_the_log_and_the_state_as_they_were(house: House) -> None:
    before = house.learner.state.digest()
    notes = [Note([teaching("a")]), Note(refusal=StoreError("disk full")), Note([teaching("b")])]
    answers = await asyncio.gather(*(house.log.submit(note) for note in notes), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["disk full"] * 3
    assert (house.learner.state.digest(), await house.logged()) == (before, [])
    assert [note.observed for note in notes] == [[]] * 3
    assert await house.log.submit(Note([teaching()])) == 1


async def test_nothing_is_taken_once_the_log_is_closed(house: House) -> None:
    waiting = asyncio.ensure_future(house.log.submit(Note([teaching("a")])))
    await asyncio.sleep(0)
    await house.log.close()
    assert await waiting == 1
    with pytest.raises(StoreError, match="closed"):
        await house.log.submit(Note([teaching("b")]))
    assert len(await house.logged()) == 1


# the fence against other writers


async def test_events_of_another_process_are_learned_before_the_next_entry_is_written(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    async with house.store.writing() as log:
        for name in "ab":
            await log.append(teaching(name))
    note = Note([teaching("c")])
    with caplog.at_level(logging.WARNING):
        await house.log.submit(note)
    assert note.seen == [(4, 2)]
    assert caplog.messages == ["events 3 to 4 were written by another process"]
    assert house.learner.state.digest() == (await fold(house.store)).digest()


async def test_events_of_another_process_that_do_not_follow_stop_the_store(house: House) -> None:
    async with house.store.writing() as log:
        await log.append(NEVER)
    note = Note([teaching()])
    with pytest.raises(StoreError, match="events of another process that cannot be folded in"):
        await house.log.submit(note)
    assert note.seen == []
    assert house.store.refusing
    assert (await house.logged())[-1].kind == NEVER.kind


@pytest.mark.parametrize(
    "statement",
    ["UPDATE events SET checksum = 'another' WHERE position = 3", "DELETE FROM events WHERE position = 3"],
    ids=["altered", "removed"],
)
async def test_a_log_that_is_not_the_one_acknowledged_stops_the_store(house: House, statement: str) -> None:
    await house.log.submit(Note([teaching("a")]))
    house.alter(statement)
    note = Note([teaching("b")])
    for _ in range(2):
        with pytest.raises(StoreError, match="event 3 of the log is not the one that was acknowledged"):
            await house.log.submit(note)
    assert note.seen == []
    assert house.store.refusing


async def test_the_end_of_the_log_at_the_start_is_what_was_acknowledged(house: House) -> None:
    house.alter("UPDATE events SET checksum = 'another' WHERE position = 2")
    with pytest.raises(StoreError, match="event 2 of the log is not the one that was acknowledged"):
        await house.log.submit(Note([teaching()]))


async def test_a_state_that_cannot_go_on_from_what_is_committed_stops_the_store(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(state: BanditState, events: Sequence[Event]) -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr(house.learner, "adopt", refuse)
    note = Note([teaching()])
    with pytest.raises(RuntimeError, match="no memory"):
        await house.log.submit(note)
    assert note.observed == []
    assert house.store.refusing
    with pytest.raises(StoreError, match=r"event 3 cannot be learned: RuntimeError\('no memory'\)"):
        await house.store.check()


# snapshots


async def test_a_snapshot_is_taken_each_time_that_so_many_events_have_followed(store: SqlStore) -> None:
    house = await House(store, snapshot_every=3).start()
    positions = []
    for number in range(5):
        await house.log.submit(Note([teaching(f"{number}")]))
        positions.append(house.sample("laserve_snapshot_position"))
    assert positions == [3, 3, 3, 6, 6]
    latest = await store.latest_snapshot()
    assert latest is not None
    assert (latest.position, (await fold(store, latest)).position) == (6, 7)
    await house.log.close()
    again = await House(store, snapshot_every=3).start()
    assert again.sample("laserve_snapshot_position") == 6
    await again.log.close()


async def test_a_snapshot_that_is_refused_costs_no_event_and_the_next_entry_tries_again(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    house = await House(store, snapshot_every=3).start()

    async def refuse(snapshot: Snapshot) -> None:
        raise StoreError("disk full")

    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr(store, "add_snapshot", refuse)
        assert await house.log.submit(Note([teaching("a")])) == 1
    assert caplog.messages == ["no snapshot at 3: disk full"]
    assert await store.latest_snapshot() is None
    await house.log.submit(Note([teaching("b")]))
    assert house.sample("laserve_snapshot_position") == 4
    await house.log.close()
