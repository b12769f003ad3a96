"""Every store keeps the protocol of `laserve.storage.base`."""

import asyncio
import hashlib
import math
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import alembic.op
import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract import samples
from laserve.errors import ConfigError, CorruptLog, Gone, NotFound, StoreError
from laserve.history.verify import verify_store
from laserve.storage import tables
from laserve.storage.base import Earlier, Snapshot, Store, default_identity
from laserve.storage.store import SqlStore
from laserve.types import Event, Update

# A test's store serves all examples of that test: each adds rows of its own.
many = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@asynccontextmanager
async def opened(path: Path | None, **options: Any) -> AsyncIterator[SqlStore]:
    store = SqlStore(path, **options)
    try:
        await store.open()
        yield store
    finally:
        await store.close()


@pytest.fixture(params=["file", "temporary"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlStore]:
    async with opened(tmp_path / "laserve.db" if request.param == "file" else None) as store:
        yield store


def sql(path: Path | None, statement: str, *values: Any) -> list[Any]:
    """Run one statement behind the store's back."""
    assert path is not None
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def dump(path: Path | None) -> list[str]:
    """All that the database holds, as SQL."""
    assert path is not None
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


async def append(store: Store, *events: Event) -> list[Event]:
    async with store.writing() as log:
        return [await log.append(event) for event in events]


async def read(store: Store, after: int = 0) -> list[Event]:
    return [event async for event in store.events(after)]


def positions(events: list[Event]) -> list[int]:
    return [event.position for event in events]


def snapshot(position: int, payload: bytes = b"state") -> Snapshot:
    return Snapshot(position=position, digest=f"digest {position}", payload=payload, created_at=1.5)


class TestDecisions:
    async def test_a_decision_comes_back_as_it_was_stored(self, store: Store) -> None:
        stored = samples.decision()
        await store.add_decisions([stored])
        loaded = await store.decision("d-1")
        assert samples.fields(loaded) == samples.fields(stored)
        assert loaded.x.dtype == stored.x.dtype

    @many
    @given(drawn=samples.decisions())
    async def test_every_field_survives_whatever_numbers_and_characters_it_holds(
        self, store: Store, drawn: Any
    ) -> None:
        number = len(sql(store.path, "SELECT id FROM decisions"))  # type: ignore[attr-defined]
        stored = replace(drawn, id=f"d-{number} {samples.ODD_TEXT}")
        await store.add_decisions([stored])
        loaded = await store.decision(stored.id)
        assert samples.fields(loaded) == samples.fields(stored)
        assert samples.spelled(loaded) == samples.spelled(stored)

    async def test_scores_that_come_later_join_those_that_are_there(self, store: Store) -> None:
        stored = samples.decision("d-1")
        await store.add_decisions([stored])
        await store.add_scores("d-1", choices={"late": 1}, scores={"late": (None, 0.5)})
        loaded = await store.decision("d-1")
        assert loaded.choices == {**stored.choices, "late": 1}
        assert loaded.scores == {**stored.scores, "late": (None, 0.5)}
        back = replace(loaded, choices=stored.choices, scores=stored.scores, x=stored.x)
        assert back == stored
        with pytest.raises(NotFound):
            await store.add_scores("d-2", choices={}, scores={})
        await store.erase("d-1", 2.0)
        with pytest.raises(Gone):
            await store.add_scores("d-1", choices={}, scores={})

    async def test_a_decision_without_texts_comes_back_without_them(self, store: Store) -> None:
        stored = samples.decision(retention="none")
        await store.add_decisions([stored])
        loaded = await store.decision("d-1")
        assert [candidate.text for candidate in loaded.candidates] == ["", ""]
        assert (loaded.metadata, loaded.request, loaded.retention) == ({}, None, "none")
        assert loaded.x.tobytes() == stored.x.tobytes()

    async def test_an_unknown_decision_is_not_found(self, store: Store) -> None:
        with pytest.raises(NotFound, match="d-1"):
            await store.decision("d-1")
        async with store.writing() as log:
            with pytest.raises(NotFound, match="d-1"):
                await log.decision("d-1")

    async def test_decisions_are_stored_together_or_not_at_all(self, store: Store) -> None:
        await store.add_decisions([samples.decision("d-1")])
        with pytest.raises(StoreError):
            await store.add_decisions([samples.decision("d-2"), samples.decision("d-1")])
        with pytest.raises(NotFound):
            await store.decision("d-2")


class TestErasing:
    async def fill(self, store: Store) -> None:
        await store.add_decisions([samples.decision("d-1"), samples.decision("d-2")])
        async with store.writing() as log:
            for number in (1, 2):
                await log.append(samples.event(number))
                await log.add_feedback(samples.feedback(number))

    async def test_an_erased_decision_is_gone_for_readers_and_writers(self, store: Store) -> None:
        await self.fill(store)
        await store.erase("d-1", now=5.0)
        with pytest.raises(Gone, match="d-1"):
            await store.decision("d-1")
        async with store.writing() as log:
            with pytest.raises(Gone, match="d-1"):
                await log.decision("d-1")
        assert (await store.decision("d-2")).text == "secret two"

    async def test_erasing_needs_a_decision_that_is_still_there(self, store: Store) -> None:
        with pytest.raises(NotFound):
            await store.erase("d-1", now=5.0)
        await self.fill(store)
        await store.erase("d-1", now=5.0)
        with pytest.raises(Gone):
            await store.erase("d-1", now=6.0)

    async def test_erasing_removes_the_words_of_feedback_and_keeps_its_reward(self, store: Store) -> None:
        await self.fill(store)
        await store.erase("d-1", now=5.0)
        assert await store.feedback_rows() == [
            samples.feedback(1, body=None, digest=None),
            samples.feedback(2),
        ]

    async def test_erasing_keeps_the_context_the_arm_and_the_events(self, store: SqlStore) -> None:
        await self.fill(store)
        before = [samples.fields(event) for event in await read(store)]
        await store.erase("d-1", now=5.0)
        assert [samples.fields(event) for event in await read(store)] == before
        [(x, arm, deleted_at)] = sql(
            store.path, "SELECT x, record ->> 'arm', deleted_at FROM decisions WHERE id = 'd-1'"
        )
        assert (x, arm, deleted_at) == (samples.context().tobytes(), "loglik", 5.0)

    async def test_no_erased_word_is_left_in_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "laserve.db"
        async with opened(path) as store:
            await self.fill(store)
            for number in (1, 2):
                await store.erase(f"d-{number}", now=5.0)
        left = b"".join(file.read_bytes() for file in tmp_path.glob("laserve.db*"))
        assert b"loglik" in left  # the file is the right one
        assert b"secret" not in left

    async def test_texts_older_than_a_time_expire(self, store: Store) -> None:
        await self.fill(store)
        await store.add_decisions([samples.decision("d-3", created_at=10.0)])
        assert await store.expire_texts(before=10.0) == 0
        assert await store.expire_texts(before=10.5) == 1
        loaded = await store.decision("d-3")
        assert (loaded.text, loaded.request, loaded.metadata, loaded.retention) == ("", None, {}, "none")
        assert loaded.choices == {"loglik": 1, "consensus": 0}
        assert (await store.decision("d-1")).text == "secret two"

    async def test_expiry_takes_the_words_of_feedback_with_it_and_counts_each_decision_once(
        self, store: Store
    ) -> None:
        await self.fill(store)
        await store.add_decisions([samples.decision("d-3", retention="none")])
        body = {"decision_id": "d-2", "references": ["secret words"], "source": "", "metric": "f1"}
        async with store.writing() as log:
            await log.append(samples.event(3))
            await log.add_feedback(samples.feedback(3, decision_id="d-2", body=body))
        assert await store.expire_texts(before=2e9) == 2
        assert await store.expire_texts(before=2e9) == 0
        # Only the digest of references is one of words; the others still tell a repeat from a conflict.
        assert [(row.body, row.digest, row.reward) for row in await store.feedback_rows()] == [
            (None, "0" * 64, 0.25),
            (None, "0" * 64, 0.25),
            (None, None, 0.25),
        ]


class TestLog:
    async def test_events_are_numbered_from_one_without_a_gap(self, store: Store) -> None:
        assert positions(await append(store, samples.event(1), samples.event(2))) == [1, 2]
        assert positions(await append(store, samples.event(3))) == [3]
        assert positions(await read(store)) == [1, 2, 3]

    @many
    @given(drawn=st.lists(samples.events, min_size=1, max_size=3))
    async def test_an_event_comes_back_as_it_was_appended(self, store: Store, drawn: list[Event]) -> None:
        async with store.writing() as log:
            tip = await log.tip()
            placed = [await log.append(event) for event in drawn]
        loaded = await read(store, after=tip)
        assert positions(placed) == [tip + 1 + index for index in range(len(drawn))]
        assert [samples.fields(event) for event in loaded] == [samples.fields(event) for event in placed]
        assert list(map(samples.spelled, loaded)) == list(map(samples.spelled, placed))

    async def test_reading_starts_behind_a_position(self, store: Store) -> None:
        await append(store, *(samples.event(number) for number in range(1, 6)))
        assert positions(await read(store, after=3)) == [4, 5]
        assert await read(store, after=5) == []

    async def test_reading_behind_the_end_is_refused(self, store: Store) -> None:
        await append(store, samples.event(1))
        with pytest.raises(CorruptLog, match="2"):
            await read(store, after=2)

    async def test_a_long_log_is_read_whole_and_in_order(self, store: Store) -> None:
        # Longer than what is read at once.
        bare = samples.event(x=None, updates=())
        await append(store, *[bare] * 1001)
        assert positions(await read(store)) == list(range(1, 1002))

    async def test_an_exception_undoes_all_that_the_block_wrote(self, store: Store) -> None:
        await append(store, samples.event(1))
        with pytest.raises(ZeroDivisionError):
            async with store.writing() as log:
                await log.append(samples.event(2))
                await log.add_feedback(samples.feedback(2))
                assert await log.tip() == 2
                raise ZeroDivisionError
        assert positions(await read(store)) == [1]
        assert await store.feedback_rows() == []
        assert positions(await append(store, samples.event(3))) == [2]

    async def test_a_cancelled_block_writes_nothing_and_lets_the_next_one_in(self, store: Store) -> None:
        written = asyncio.Event()

        async def block() -> None:
            async with store.writing() as log:
                await log.append(samples.event(1))
                written.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(block())
        await written.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert positions(await append(store, samples.event(2))) == [1]

    async def test_writers_at_the_same_time_follow_one_another(self, store: Store) -> None:
        batches = await asyncio.gather(
            *(append(store, samples.event(number), samples.event(number)) for number in range(1, 21))
        )
        assert all(second.position == first.position + 1 for first, second in batches)
        assert positions(await read(store)) == list(range(1, 41))

    async def test_readers_do_not_see_what_is_not_committed(self, store: Store) -> None:
        async with store.writing() as log:
            await log.append(samples.event(1))
            assert await read(store) == []
        assert positions(await read(store)) == [1]

    async def test_a_writer_sees_what_it_wrote(self, store: Store) -> None:
        async with store.writing() as log:
            assert await log.tip() == 0
            await log.append(samples.event(1))
            await log.add_feedback(samples.feedback(1))
            assert await log.tip() == 1
            assert await log.feedback("team", "decision:d-1::reward") == samples.feedback(1)
            assert await log.feedback("other", "decision:d-1::reward") is None
            taught = await log.taught("d-1")
            assert taught is not None
            assert taught.updates == samples.event(1).updates

    async def test_who_writes_can_read_all_that_others_have_appended(self, store: Store) -> None:
        first, *_ = await append(store, samples.event(1), samples.event(2))
        async with store.writing() as log:
            tip = await log.tip()
            read_meanwhile = await read(store, after=first.position)
            placed = await log.append(samples.event(3))
        assert positions(read_meanwhile) == [tip] == [placed.position - 1]

    async def test_what_a_decision_taught_is_its_latest_learned_event(self, store: Store) -> None:
        first, second = Update(arm="loglik", reward=0.0), Update(arm="loglik", reward=1.0)
        async with store.writing() as log:
            assert await log.taught("d-1") is None
            for number, updates in ((1, (first,)), (1, (second,)), (1, ()), (2, (first,))):
                await log.append(samples.event(number, updates=updates))
            taught = [await log.taught(f"d-{number}") for number in (1, 2, 3)]
            assert [event and (event.position, event.updates) for event in taught] == [
                (2, (second,)),
                (4, (first,)),
                None,
            ]

    async def test_a_decision_is_answered_by_a_client_and_not_by_a_default_reward(self, store: Store) -> None:
        await store.add_decisions([samples.decision("d-1"), samples.decision("d-2")])
        async with store.writing() as log:
            default = replace(samples.feedback(1), key="", identity=default_identity("d-1"), position=1)
            await log.add_feedback(default)
            assert await log.earlier("team", "any", "d-1") == Earlier(same=None, answered=False)
            await log.add_feedback(samples.feedback(1, position=2))
            assert await log.earlier("team", "any", "d-1") == Earlier(same=None, answered=True)
            assert await log.earlier("team", "any", "d-2") == Earlier(same=None, answered=False)
        await store.erase("d-1", 1.0)
        async with store.writing() as log:
            assert (await log.earlier("team", "any", "d-1")).answered

    async def test_earlier_feedback_of_one_identity_is_seen_whatever_its_decision(self, store: Store) -> None:
        await store.add_decisions([samples.decision("d-1"), samples.decision("d-2")])
        first = samples.feedback(1, identity="key:again")
        async with store.writing() as log:
            await log.add_feedback(first)
            for decision_id, answered in (("d-1", True), ("d-2", False)):
                earlier = await log.earlier("team", "key:again", decision_id)
                assert earlier == Earlier(same=first, answered=answered)
            assert (await log.earlier("other team", "key:again", "d-1")).same is None

    async def test_feedback_is_listed_in_the_order_of_the_log(self, store: Store) -> None:
        await store.add_decisions([samples.decision("d-1"), samples.decision("d-2")])
        rows = [
            samples.feedback(number, decision_id=f"d-{1 + number % 2}", identity=identity)
            for number, identity in ((1, "z"), (2, "a"), (3, samples.ODD_TEXT))
        ]
        async with store.writing() as log:
            for row in reversed(rows):
                await log.add_feedback(row)
        assert await store.feedback_rows() == rows
        assert await store.feedback_rows("d-2") == [rows[0], rows[2]]
        assert await store.feedback_rows("d-3") == []

    async def test_one_identity_is_stored_once(self, store: Store) -> None:
        async with store.writing() as log:
            await log.add_feedback(samples.feedback(1))
        with pytest.raises(StoreError):
            async with store.writing() as log:
                await log.append(samples.event(1))
                await log.add_feedback(samples.feedback(1))
        assert await read(store) == []


ALTERATIONS = {
    "its position": "position = 30",
    "its kind": "kind = 'arm'",
    "its time": "created_at = created_at + 1e-6",
    "a time that is no number": "created_at = x'00'",
    "a time without an end": "created_at = 9e999",
    "its decision": "decision_id = 'd-2'",
    "its decision, taken away": "decision_id = NULL",
    "a bit of its context": "x = CAST(x'01' || substr(x, 2) AS BLOB)",
    "its context, cut": "x = CAST(substr(x, 1, 8) AS BLOB)",
    "its context, taken away": "x = NULL",
    "its context, emptied": "x = x''",
    "its reward": "payload = replace(payload, '0.25', '0.26')",
    "white space in its payload": "payload = payload || ' '",
    "a payload of bytes": "payload = CAST(payload AS BLOB)",
    "a payload that is no text": "payload = CAST(CAST(payload AS BLOB) || x'ff' AS TEXT)",
    "its checksum": "checksum = replace(checksum, substr(checksum, 1, 1), 'g')",
    "its checksum, by case": "checksum = upper(checksum)",
}


class TestChecksums:
    @pytest.mark.parametrize("change", ALTERATIONS.values(), ids=ALTERATIONS.keys())
    async def test_an_altered_row_is_named_by_its_position(self, store: SqlStore, change: str) -> None:
        await append(store, *(samples.event(number) for number in range(1, 6)))
        sql(store.path, f"UPDATE events SET {change} WHERE position = 3")
        good = []
        with pytest.raises(CorruptLog, match=r"\bevent 3\b"):
            async for event in store.events():
                good.append(event.position)
        assert good == [1, 2]

    async def test_an_empty_context_is_not_taken_for_none(self, store: SqlStore) -> None:
        await append(store, samples.event(1), samples.event(2, x=None, updates=()))
        sql(store.path, "UPDATE events SET x = x'' WHERE position = 2")
        with pytest.raises(CorruptLog, match=r"\bevent 2\b"):
            await read(store)

    async def test_a_missing_row_is_named_by_its_position(self, store: SqlStore) -> None:
        await append(store, *(samples.event(number) for number in range(1, 6)))
        sql(store.path, "DELETE FROM events WHERE position = 3")
        with pytest.raises(CorruptLog, match=r"\bevent 3\b"):
            await read(store)

    async def test_rows_that_changed_places_are_noticed(self, store: SqlStore) -> None:
        await append(store, *[samples.event(1)] * 2, samples.event(2), samples.event(3))
        for old, new in ((3, 30), (4, 3), (30, 4)):
            sql(store.path, "UPDATE events SET position = ? WHERE position = ?", new, old)
        with pytest.raises(CorruptLog, match=r"\bevent 3\b"):
            await read(store)

    async def test_equal_events_have_different_checksums_because_each_hangs_on_the_one_before(
        self, store: SqlStore
    ) -> None:
        await append(store, *[samples.event(1)] * 3)
        assert len(set(sql(store.path, "SELECT checksum FROM events"))) == 3

    async def test_reading_behind_a_position_checks_against_the_row_at_it(self, store: SqlStore) -> None:
        await append(store, *(samples.event(number) for number in range(1, 6)))
        sql(store.path, "UPDATE events SET checksum = 'other' WHERE position = 3")
        with pytest.raises(CorruptLog, match=r"\bevent 4\b"):
            await read(store, after=3)


class TestKnowingTheLogAgain:
    """`LogWriter.checksum`: by it a log is known again, up to a position."""

    async def test_an_empty_log_has_no_checksum(self, store: Store) -> None:
        async with store.writing() as log:
            assert [await log.checksum(position) for position in (0, 1, -1)] == ["", "", ""]

    async def test_each_event_has_the_checksum_of_its_row(self, store: SqlStore) -> None:
        await append(store, *(samples.event(number) for number in range(1, 6)))
        rows = [row[0] for row in sql(store.path, "SELECT checksum FROM events ORDER BY position")]
        async with store.writing() as log:
            assert [await log.checksum(position) for position in range(1, 6)] == rows
            assert await log.checksum(0) == await log.checksum(6) == ""
        async with store.writing() as log:  # in whatever order
            assert [await log.checksum(position) for position in (5, 3, 5, 1)] == [
                rows[4],
                rows[2],
                rows[4],
                rows[0],
            ]

    async def test_who_appends_sees_the_checksums_of_what_was_appended(self, store: SqlStore) -> None:
        await append(store, samples.event(1))
        async with store.writing() as log:
            before = await log.checksum(1)
            await log.append(samples.event(2))
            await log.append(samples.event(3))
            seen = [await log.checksum(position) for position in (1, 2, 3, 4)]
            assert (await log.tip(), seen[0], seen[3]) == (3, before, "")
        rows = [row[0] for row in sql(store.path, "SELECT checksum FROM events ORDER BY position")]
        assert seen[:3] == rows

    async def test_what_is_undone_has_no_checksum(self, store: Store) -> None:
        await append(store, samples.event(1))
        with pytest.raises(ZeroDivisionError):
            async with store.writing() as log:
                await log.append(samples.event(2))
                raise ZeroDivisionError
        async with store.writing() as log:
            assert (await log.tip(), await log.checksum(2)) == (1, "")

    async def test_a_checksum_vouches_for_all_events_before(self, store: Store, tmp_path: Path) -> None:
        await append(store, *(samples.event(number) for number in (1, 2, 3)))
        async with opened(tmp_path / "other.db") as other:
            await append(other, *(samples.event(number) for number in (1, 9, 3)))
            async with store.writing() as ours, other.writing() as theirs:
                same = [
                    await ours.checksum(position) == await theirs.checksum(position) for position in (1, 2, 3)
                ]
        assert same == [True, False, False]


class TestStopping:
    """A store that was told to take no write any more, since what was acknowledged could be lost."""

    @pytest.fixture
    async def stopped(self, store: SqlStore) -> SqlStore:
        await store.add_decisions([samples.decision("d-1"), samples.decision("d-2")])
        async with store.writing() as log:
            await log.append(samples.event(1))
            await log.add_feedback(samples.feedback(1))
        await store.add_snapshot(snapshot(1))
        assert not store.refusing
        await store.check()
        store.stop("told to stop")
        return store

    @pytest.mark.parametrize("name", ["add_decisions", "erase", "expire_texts", "writing", "add_snapshot"])
    async def test_every_write_is_refused_with_the_reason(self, stopped: SqlStore, name: str) -> None:
        before = dump(stopped.path)
        for _ in range(2):
            with pytest.raises(StoreError, match="told to stop"):
                await CALLS[name](stopped)
        assert dump(stopped.path) == before

    async def test_a_check_raises_the_reason_each_time_and_nothing_mends_it(self, stopped: SqlStore) -> None:
        for _ in range(5):
            assert stopped.refusing
            with pytest.raises(StoreError, match="told to stop"):
                await stopped.check()

    async def test_the_first_reason_is_the_one_that_is_told(self, stopped: SqlStore) -> None:
        stopped.stop("another reason")
        with pytest.raises(StoreError, match="told to stop"):
            await stopped.check()

    async def test_all_can_be_read_on(self, stopped: SqlStore) -> None:
        assert (await stopped.decision("d-1")).id == "d-1"
        assert positions(await read(stopped)) == [1]
        assert await stopped.feedback_rows() == [samples.feedback(1)]
        assert await stopped.latest_snapshot() == snapshot(1)
        assert (await stopped.due(10), await stopped.pending()) == (["d-1", "d-2"], 2)

    async def test_a_transaction_that_is_under_way_is_undone(self, store: SqlStore) -> None:
        with pytest.raises(StoreError, match="told to stop"):
            async with store.writing() as log:
                await log.append(samples.event(1))
                store.stop("told to stop")
                await store.check()
        assert await read(store) == []

    async def test_the_next_store_on_the_file_takes_writes(self, tmp_path: Path) -> None:
        async with opened(tmp_path / "laserve.db") as first:
            await append(first, samples.event(1))
            first.stop("told to stop")
        async with opened(tmp_path / "laserve.db") as second:
            assert not second.refusing
            assert positions(await append(second, samples.event(2))) == [2]


class TestReadiness:
    """`refusing`, and `check`, which ends it by a write of its own."""

    @staticmethod
    def refuse(store: SqlStore, table: str) -> None:
        sql(
            store.path,
            f"CREATE TRIGGER refuse_{table} BEFORE INSERT ON {table} "
            "BEGIN SELECT RAISE(ABORT, 'not today'); END",
        )

    @pytest.mark.parametrize("table", ["decisions", "events", "feedback"])
    async def test_it_refuses_until_each_table_takes_rows_again(self, store: SqlStore, table: str) -> None:
        self.refuse(store, table)
        with pytest.raises(StoreError, match="not today"):
            await store.add_decisions([samples.decision()])
            async with store.writing() as log:
                await log.append(samples.event(1))
                await log.add_feedback(samples.feedback(1))
        assert store.refusing
        for _ in range(3):
            with pytest.raises(StoreError, match="not today"):
                await store.check()
            assert store.refusing
        sql(store.path, f"DROP TRIGGER refuse_{table}")
        await store.check()
        assert not store.refusing

    @pytest.mark.parametrize("table", ["decisions", "events", "feedback"])
    async def test_a_table_that_cannot_be_read_is_noticed_before_it_is_written(
        self, store: SqlStore, table: str
    ) -> None:
        sql(store.path, f"ALTER TABLE {table} RENAME TO away")
        for _ in range(2):
            with pytest.raises(StoreError, match=f"no such table: {table}"):
                await store.check()
            assert store.refusing
        sql(store.path, f"ALTER TABLE away RENAME TO {table}")
        await store.check()
        assert not store.refusing

    async def test_its_own_write_leaves_nothing_behind(self, store: SqlStore) -> None:
        await store.add_decisions([samples.decision("d-1")])
        await append(store, samples.event(1))
        before = dump(store.path)
        self.refuse(store, "decisions")
        for _ in range(2):
            with pytest.raises(StoreError):
                await store.add_decisions([samples.decision("d-2")])
            with pytest.raises(StoreError):
                await store.check()
        sql(store.path, "DROP TRIGGER refuse_decisions")
        await store.check()
        assert dump(store.path) == before
        assert positions(await append(store, samples.event(2))) == [2]

    async def test_its_own_write_uses_no_room_up(self, tmp_path: Path) -> None:
        async with opened(tmp_path / "laserve.db", max_bytes=2**20) as store:
            pages = []
            for number in range(20):
                self.refuse(store, "decisions")
                with pytest.raises(StoreError, match="not today"):
                    await store.add_decisions([samples.decision("refused")])
                sql(store.path, "DROP TRIGGER refuse_decisions")
                await store.check()
                await store.add_decisions([samples.decision(f"small {number}")])
                pages += sql(store.path, "PRAGMA page_count")[0]
            assert pages[-1] - pages[0] < 20  # that is what the decisions take

            number, large = 0, {"filler": "x" * 20_000}
            with pytest.raises(StoreError, match="full"):
                for number in range(1000):
                    await store.add_decisions([samples.decision(f"d-{number}", metadata=large)])
            assert number > 2**20 / 20_000 * 0.7  # the room that its write needed is there for decisions
            with pytest.raises(StoreError, match="full"):
                await store.check()
            for each in range(number):
                await store.erase(f"d-{each}", now=5.0)
            await store.check()
            await store.add_decisions([samples.decision("now")])


class TestDefaults:
    """Which decisions still owe their default reward."""

    async def add(self, store: Store, **closing: float) -> None:
        await store.add_decisions(
            [samples.decision(name, closes_at=closes_at) for name, closes_at in closing.items()]
        )

    async def test_a_default_is_due_once_the_window_has_closed(self, store: Store) -> None:
        await self.add(store, past=time.time() - 0.1, ahead=time.time() + 1000)
        assert await store.due(10) == ["past"]
        assert await store.pending() == 2

    async def test_a_default_falls_due_as_time_goes_on(self, store: Store) -> None:
        await self.add(store, soon=(closes_at := time.time() + 0.2))
        while not (due := await store.due(10)):
            assert time.time() < closes_at + 10
        assert due == ["soon"]
        async with store.writing() as log:
            assert await log.now() > closes_at  # by the clock that tells what is late

    async def test_the_longest_due_come_first_and_no_more_than_were_asked_for(self, store: Store) -> None:
        await self.add(store, b=2.0, c=3.0, a=1.0)
        assert await store.due(10) == ["a", "b", "c"]
        assert await store.due(2) == ["a", "b"]

    async def test_a_decision_without_a_default_owes_none(self, store: Store) -> None:
        await store.add_decisions(
            [
                samples.decision("no default", default_reward=None),
                samples.decision("no window", closes_at=None, default_reward=None),
            ]
        )
        assert (await store.due(10), await store.pending()) == ([], 0)

    async def test_a_settled_decision_owes_none(self, store: Store) -> None:
        await self.add(store, a=1.0, b=2.0, ahead=time.time() + 1000)
        async with store.writing() as log:
            await log.settle("a")
            await log.settle("ahead")
        assert (await store.due(10), await store.pending()) == (["b"], 1)
        assert (await store.decision("a")).due_at == 1.0  # what was decided stays as it was

    async def test_settling_is_undone_with_the_block_that_it_stands_in(self, store: Store) -> None:
        await self.add(store, a=1.0)
        with pytest.raises(ZeroDivisionError):
            async with store.writing() as log:
                await log.settle("a")
                raise ZeroDivisionError
        assert (await store.due(10), await store.pending()) == (["a"], 1)

    async def test_an_erased_decision_owes_none(self, store: Store) -> None:
        await self.add(store, a=1.0, b=2.0)
        await store.erase("a", now=5.0)
        assert (await store.due(10), await store.pending()) == (["b"], 1)

    async def test_a_decision_whose_texts_have_expired_owes_its_default_still(self, store: Store) -> None:
        await self.add(store, a=1.0)
        assert await store.expire_texts(before=2e9) == 1
        assert (await store.due(10), await store.pending()) == (["a"], 1)

    async def test_what_is_owed_is_found_again_after_reopening(self, tmp_path: Path) -> None:
        async with opened(tmp_path / "laserve.db") as first:
            await self.add(first, a=1.0, ahead=time.time() + 1000)
        async with opened(tmp_path / "laserve.db") as second:
            assert (await second.due(10), await second.pending()) == (["a"], 2)

    async def test_the_clock_is_in_unix_seconds_and_goes_on_within_a_transaction(self, store: Store) -> None:
        async with store.writing() as log:
            before = time.time()
            first = await log.now()
            assert before - 0.002 <= first <= time.time() + 0.002
            while (second := await log.now()) == first:
                assert time.time() < before + 10
            assert second > first


class TestSnapshots:
    async def test_without_a_snapshot_there_is_none(self, store: Store) -> None:
        assert await store.latest_snapshot() is None

    async def test_the_newest_snapshot_is_the_one_furthest_in_the_log(self, store: Store) -> None:
        for position in (10, 30, 20):
            await store.add_snapshot(snapshot(position, bytes(range(256)) * position))
        assert await store.latest_snapshot() == snapshot(30, bytes(range(256)) * 30)

    async def test_a_snapshot_taken_again_replaces_the_first(self, store: Store) -> None:
        await store.add_snapshot(snapshot(10, b"old"))
        await store.add_snapshot(snapshot(10, b"new"))
        assert await store.latest_snapshot() == snapshot(10, b"new")

    @pytest.mark.parametrize(
        "tear",
        [
            "payload = CAST(substr(payload, 1, 3) AS BLOB)",
            "payload = x''",
            "payload = CAST('x' || substr(payload, 2) AS BLOB)",
            "checksum = 'other'",
        ],
    )
    async def test_a_torn_snapshot_is_passed_over(self, store: SqlStore, tear: str) -> None:
        for position in (10, 20, 30):
            await store.add_snapshot(snapshot(position))
        sql(store.path, f"UPDATE snapshots SET {tear} WHERE position = 30")
        assert await store.latest_snapshot() == snapshot(20)
        sql(store.path, f"UPDATE snapshots SET {tear}")
        assert await store.latest_snapshot() is None


class TestOpening:
    async def test_reopening_finds_all_that_was_stored(self, tmp_path: Path) -> None:
        async with opened(tmp_path / "laserve.db") as first:
            await first.add_decisions([samples.decision()])
            async with first.writing() as log:
                await log.append(samples.event(1))
                await log.add_feedback(samples.feedback(1))
            await first.add_snapshot(snapshot(1))

        async with opened(tmp_path / "laserve.db") as second:
            assert samples.fields(await second.decision("d-1")) == samples.fields(samples.decision())
            [loaded] = await read(second)
            assert samples.fields(loaded) == samples.fields(samples.event(1, position=1))
            assert await second.feedback_rows() == [samples.feedback(1)]
            assert await second.latest_snapshot() == snapshot(1)
            assert positions(await append(second, samples.event(2))) == [2]
            assert positions(await read(second)) == [1, 2]

    async def test_missing_folders_are_made(self, tmp_path: Path) -> None:
        async with opened(tmp_path / "one" / "two" / "laserve.db") as store:
            assert await read(store) == []

    async def test_a_file_is_open_once_in_a_process(self, store: SqlStore) -> None:
        for _ in range(2):  # the refused one has taken neither the lock nor the file from the first
            with pytest.raises(ConfigError, match="data_dir"):
                async with opened(store.path):
                    pass
            await append(store, samples.event(1))
        assert positions(await read(store)) == [1, 2]

    async def test_a_file_is_open_in_one_process(self, store: SqlStore) -> None:
        attempt = (
            "import asyncio, sys, pathlib\n"
            "from laserve.errors import ConfigError\n"
            "from laserve.storage.store import SqlStore\n"
            "try:\n"
            "    asyncio.run(SqlStore(pathlib.Path(sys.argv[1])).open())\n"
            "except ConfigError as error:\n"
            "    print('refused:', error.message)\n"
        )
        other = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", attempt, str(store.path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert other.stdout.startswith("refused: data_dir: another laserve process"), other

    async def test_a_closed_file_can_be_opened_by_the_next(self, tmp_path: Path) -> None:
        for number in (1, 2, 3):
            async with opened(tmp_path / "laserve.db") as store:
                assert positions(await append(store, samples.event(number))) == [number]

    async def test_a_temporary_store_leaves_nothing_behind(self) -> None:
        async with opened(None) as store:
            assert store.path is not None
            folder = store.path.parent
            assert folder.is_dir()
        assert not folder.exists()

    async def test_a_folder_that_cannot_be_made_is_a_setting_to_mend(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(ConfigError, match="data_dir"):
            async with opened(tmp_path / "file" / "laserve.db"):
                pass

    async def test_a_file_that_is_no_database_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "laserve.db").write_text("no database at all. " * 100)
        with pytest.raises(ConfigError, match="data_dir"):
            async with opened(tmp_path / "laserve.db"):
                pass


class TestLookingOn:
    """A store that was opened to look at what another process writes."""

    async def test_it_reads_while_the_other_goes_on_writing(self, store: SqlStore) -> None:
        await store.add_decisions([samples.decision()])
        await append(store, samples.event(1))
        async with opened(store.path, read_only=True) as looking:
            assert samples.fields(await looking.decision("d-1")) == samples.fields(samples.decision())
            assert positions(await read(looking)) == [1]
            await append(store, samples.event(2))
            assert positions(await read(looking)) == [1, 2]
            async with store.writing() as log:
                await log.append(samples.event(3))
                assert positions(await read(looking)) == [1, 2]

    @pytest.mark.parametrize("name", ["add_decisions", "erase", "expire_texts", "writing", "add_snapshot"])
    async def test_it_writes_nothing(self, store: SqlStore, name: str) -> None:
        await store.add_decisions([samples.decision("d-1", created_at=1.0)])
        before = dump(store.path)
        async with opened(store.path, read_only=True) as looking:
            with pytest.raises(StoreError, match="readonly"):
                await CALLS[name](looking)
        assert dump(store.path) == before

    async def test_it_makes_no_database(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="data_dir"):
            async with opened(tmp_path / "nowhere" / "laserve.db", read_only=True):
                pass
        assert list(tmp_path.iterdir()) == []

    async def test_it_does_not_keep_the_next_writer_out(self, tmp_path: Path) -> None:
        async with opened(tmp_path / "laserve.db"):
            pass
        async with opened(tmp_path / "laserve.db", read_only=True), opened(tmp_path / "laserve.db") as store:
            assert positions(await append(store, samples.event(1))) == [1]


CALLS: dict[str, Callable[[Store], Awaitable[Any]]] = {
    "add_decisions": lambda store: store.add_decisions([samples.decision("new")]),
    "decision": lambda store: store.decision("d-1"),
    "erase": lambda store: store.erase("d-1", 5.0),
    "expire_texts": lambda store: store.expire_texts(5.0),
    "writing": lambda store: append(store, samples.event(1)),
    "events": read,
    "events after": lambda store: read(store, after=1),
    "feedback_rows": lambda store: store.feedback_rows(),
    "due": lambda store: store.due(10),
    "pending": lambda store: store.pending(),
    "latest_snapshot": lambda store: store.latest_snapshot(),
    "add_snapshot": lambda store: store.add_snapshot(snapshot(1)),
}


class TestRefusals:
    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
    async def test_a_store_that_is_not_open_refuses_every_call(
        self, store: SqlStore, call: Callable[[Store], Awaitable[Any]]
    ) -> None:
        await store.close()
        with pytest.raises(StoreError, match="closed"):
            await call(store)
        with pytest.raises(StoreError, match="closed"):
            await call(SqlStore(None))

    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
    async def test_what_the_database_refuses_is_a_store_error(
        self, store: SqlStore, call: Callable[[Store], Awaitable[Any]]
    ) -> None:
        for table in tables.metadata.tables:
            sql(store.path, f"DROP TABLE {table}")
        with pytest.raises(StoreError, match="no such table"):
            await call(store)

    async def test_closing_twice_does_no_harm(self, store: SqlStore) -> None:
        await store.close()
        await store.close()
        with pytest.raises(StoreError):
            await store.latest_snapshot()


def migrations() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", "laserve.storage:migrations")
    return ScriptDirectory.from_config(config)


class TestMigrations:
    async def test_a_fresh_file_stands_at_the_head_revision(self, store: SqlStore) -> None:
        assert sql(store.path, "SELECT version_num FROM alembic_version") == [
            (migrations().get_current_head(),)
        ]

    async def test_a_fresh_file_has_the_tables_that_queries_expect(self, store: SqlStore) -> None:
        engine = sqlalchemy.create_engine(f"sqlite:///{store.path}")
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
            # The comparison would not notice a primary key.
            inspector = sqlalchemy.inspect(connection)
            for name, table in tables.metadata.tables.items():
                key = inspector.get_pk_constraint(name)["constrained_columns"]
                assert key == [column.name for column in table.primary_key]
        engine.dispose()

    async def test_the_revisions_form_one_line(self) -> None:
        assert len(migrations().get_heads()) == 1
        assert len(migrations().get_bases()) == 1

    async def test_a_database_of_an_unknown_revision_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "laserve.db"
        async with opened(path) as store:
            await append(store, samples.event(1))
        sql(path, "UPDATE alembic_version SET version_num = 'later'")
        with pytest.raises(ConfigError, match="data_dir"):
            async with opened(path):
                pass
        assert sql(path, "SELECT version_num FROM alembic_version") == [("later",)]
        assert sql(path, "SELECT count(*) FROM events") == [(1,)]

    async def test_a_migration_that_was_interrupted_is_made_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        create, made = alembic.op.create_table, []

        def interrupted(name: str, *columns: Any) -> Any:
            if name == "feedback":
                raise OSError("interrupted")
            made.append(name)
            return create(name, *columns)

        with monkeypatch.context() as patch:
            patch.setattr(alembic.op, "create_table", interrupted)
            with pytest.raises(ConfigError, match="interrupted"):
                async with opened(tmp_path / "laserve.db"):
                    pass
        assert made == ["decisions", "events"]  # it was in the middle

        async with opened(tmp_path / "laserve.db") as store:
            assert positions(await append(store, samples.event(1))) == [1]


class TestFirstRevision:
    """A database as it was before decisions had a window; `revision_0001.sql` is one that was served."""

    #: Digest of the state, as that version computed it.
    DIGEST = "5ec2c6a3dac2975ac631fba280e051ed64d4bb653bdae36e9092cd1c489e6885"

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "laserve.db"
        script = Path(__file__).with_name("revision_0001.sql").read_text(encoding="utf-8")
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(script)
        return path

    async def test_its_decisions_come_back_and_owe_no_default(self, path: Path) -> None:
        async with opened(path) as store:
            for number in (1, 2, 3):
                loaded = await store.decision(f"d-{number}")
                assert (loaded.closes_at, loaded.default_reward, loaded.due_at) == (None, None, None)
                assert loaded.choices == {"loglik": 0, "consensus": 1}
                assert loaded.x.tolist() == [1.0, (number if number < 3 else 4) / 8]
            assert (await store.decision("d-1")).text == "a"
            assert (await store.due(10), await store.pending()) == ([], 0)

    async def test_its_log_verifies_before_it_is_migrated_and_after(self, path: Path) -> None:
        before = dump(path)
        looked = await verify_store(SqlStore(path, read_only=True))
        assert (looked.events, looked.feedback, looked.snapshot, looked.digest) == (5, 2, 4, self.DIGEST)
        assert dump(path) == before
        async with opened(path) as store:
            assert sql(store.path, "SELECT version_num FROM alembic_version") != [("0001",)]
        assert await verify_store(SqlStore(path, read_only=True)) == looked

    async def test_it_takes_decisions_events_and_feedback_as_before(self, path: Path) -> None:
        async with opened(path) as store:
            await store.add_decisions([samples.decision("d-4", closes_at=1.0)])
            assert await store.due(10) == ["d-4"]
            async with store.writing() as log:
                taught = await log.taught("d-1")
                assert taught is not None
                assert [update.reward for update in taught.updates] == [0.75]
                placed = await log.append(samples.event(2))
                await log.add_feedback(samples.feedback(2, position=placed.position))
            await store.erase("d-1", now=5.0)
            assert positions(await read(store, after=5)) == [6]
            assert len(await store.feedback_rows()) == 3

    async def test_a_migration_that_was_interrupted_leaves_it_as_it_was(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(name: str, *columns: Any) -> Any:
            raise OSError(f"interrupted at {name}")

        before = dump(path)
        with monkeypatch.context() as patch:
            patch.setattr(alembic.op, "create_index", interrupted)  # the column is there by then
            with pytest.raises(ConfigError, match="interrupted at decisions_due_at"):
                async with opened(path):
                    pass
        assert dump(path) == before
        async with opened(path) as store:
            assert await store.pending() == 0


async def test_a_commit_is_on_disk_before_the_call_returns(store: SqlStore) -> None:
    # A copy of the files at that moment is what a machine that dies would find.
    await append(store, samples.event(1))
    assert store.path is not None
    copy = store.path.parent / "copy"
    copy.mkdir()
    for file in (store.path, store.path.with_name(store.path.name + "-wal")):
        (copy / file.name).write_bytes(file.read_bytes())
    async with opened(copy / store.path.name) as recovered:
        assert positions(await read(recovered)) == [1]


async def test_checksums_are_of_the_bytes_as_written_down(store: SqlStore) -> None:
    # Spelled out once without the code under test: changing the rule would orphan every log there is.
    [placed] = await append(store, samples.event(1, x=None, updates=(), body={"é": math.pi}))
    payload = '{"body":{"é":3.141592653589793},"replaces":[],"updates":[]}'
    quoted = payload.replace('"', '\\"')
    row = f'[1,"feedback",1700000001.0,"d-1","{quoted}"]'
    assert sql(store.path, "SELECT payload FROM events") == [(payload,)]
    expected = hashlib.sha256(row.encode()).hexdigest()
    assert sql(store.path, "SELECT checksum FROM events") == [(expected,)]
    assert placed.position == 1


class TestSpace:
    async def test_the_space_is_that_of_the_files_and_of_their_file_system(self, tmp_path: Path) -> None:
        path = tmp_path / "laserve.db"
        async with opened(path) as store:
            await store.add_decisions([samples.decision()])
            space = await store.space()
            assert space is not None
            wal = path.with_name("laserve.db-wal")
            assert space.files == {"database": path.stat().st_size, "wal": wal.stat().st_size}
            assert space.free == pytest.approx(shutil.disk_usage(tmp_path).free, abs=2**26)

    async def test_files_that_are_not_there_are_not_measured(self, tmp_path: Path) -> None:
        async with opened(tmp_path / "laserve.db") as store:
            pass
        space = await store.space()
        assert space is not None
        assert space.files.keys() == {"database"}

    async def test_a_temporary_store_and_one_whose_folder_has_gone_have_no_space(
        self, tmp_path: Path
    ) -> None:
        async with opened(None) as store:
            assert await store.space() is None
        assert await SqlStore(tmp_path / "gone" / "laserve.db").space() is None
