"""Decisions are read in pages, oldest first, whatever the store holds and whoever writes meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contract import samples
from laserve.storage import pages
from laserve.storage.base import Logged, Store, Wanted
from laserve.storage.store import SqlStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    store = SqlStore(tmp_path / "laserve.db")
    try:
        await store.open()
        yield store
    finally:
        await store.close()


async def read(store: Store, **wanted: Any) -> list[Logged]:
    return [logged async for logged in store.decisions(Wanted(**wanted))]


async def ids(store: Store, **wanted: Any) -> list[str]:
    return [logged.decision.id for logged in await read(store, **wanted)]


async def test_an_empty_store_has_none(store: Store) -> None:
    assert await read(store) == []


@pytest.mark.parametrize("count", [pages.SIZE - 1, pages.SIZE, pages.SIZE + 1, 3 * pages.SIZE, 100])
async def test_all_are_read_oldest_first_however_many_pages_they_fill(store: Store, count: int) -> None:
    # Several of the same time, written in no order: within a time they come by id.
    made = [samples.decision(f"d-{n:03}", created_at=float(n // 7)) for n in range(count)]
    await store.add_decisions(made[::-1])
    rows = await read(store)
    assert [samples.fields(logged.decision) for logged in rows] == [samples.fields(each) for each in made]
    assert {logged.feedback for logged in rows} == {()}


async def test_each_comes_with_its_feedback_in_the_order_of_the_log(store: Store) -> None:
    await store.add_decisions([samples.decision("d-1"), samples.decision("d-2"), samples.decision("d-3")])
    rows = [samples.feedback(n, identity=str(-n), decision_id=f"d-{1 + n % 2}") for n in range(1, 5)]
    async with store.writing() as log:
        for row in reversed(rows):
            await log.add_feedback(row)
    said = {logged.decision.id: logged.feedback for logged in await read(store)}
    assert said == {"d-1": (rows[1], rows[3]), "d-2": (rows[0], rows[2]), "d-3": ()}
    assert await ids(store, with_feedback=True) == ["d-1", "d-2"]


async def test_those_without_texts_are_among_them(store: Store) -> None:
    await store.add_decisions(
        [
            samples.decision("d-1", created_at=1.0),
            samples.decision("d-2", retention="none"),
            samples.decision("d-3", retention="hash"),
            samples.decision("d-4"),
            samples.decision("d-5"),
        ]
    )
    await store.expire_texts(before=2.0)
    await store.erase("d-4", now=3.0)
    kept = [(logged.decision.id, logged.decision.retention) for logged in await read(store)]
    assert kept == [("d-1", "none"), ("d-2", "none"), ("d-3", "hash"), ("d-4", "none"), ("d-5", "full")]


async def test_since_takes_those_made_then_or_later(store: Store) -> None:
    await store.add_decisions([samples.decision(f"d-{n}", created_at=n + 0.5) for n in range(5)])
    assert await ids(store, since=2.5) == ["d-2", "d-3", "d-4"]
    assert await ids(store, since=2.501) == ["d-3", "d-4"]
    assert await ids(store, since=9.0) == []


ODD_TASKS = [
    "chat",
    "Chat",
    "chat2",
    "CHAT",
    'c"hat',
    "c%t",
    "c_at",
    "c\\hat",
    "élan",
    "Élan",
    "a/b",
    "",
    None,
]


@pytest.mark.parametrize("task", [task for task in ODD_TASKS if task is not None])
async def test_a_task_is_taken_letter_by_letter(store: Store, task: str) -> None:
    made = [samples.decision(f"d-{n:02}", task=each) for n, each in enumerate(ODD_TASKS)]
    # The words of another field are not taken for a task.
    made.append(samples.decision("d-99", task=None, policy=f'"task":"{task}"', arm=f'{{"task":"{task}"}}'))
    await store.add_decisions(made)
    assert await ids(store, task=task) == [f"d-{ODD_TASKS.index(task):02}"]


async def test_all_filters_hold_together(store: Store) -> None:
    await store.add_decisions(
        [
            samples.decision("d-1", created_at=1.0, task="chat"),
            samples.decision("d-2", created_at=2.0, task="math"),
            samples.decision("d-3", created_at=3.0, task="chat"),
            samples.decision("d-4", created_at=4.0, task="chat"),
        ]
    )
    async with store.writing() as log:
        for number in (1, 2, 4):
            await log.add_feedback(samples.feedback(number))
    assert await ids(store, since=2.0, task="chat", with_feedback=True) == ["d-4"]


async def test_a_filter_that_leaves_few_reads_every_page(store: Store) -> None:
    made = [samples.decision(f"d-{n:03}", task="rare" if n % 40 == 39 else "Rare") for n in range(120)]
    await store.add_decisions(made)
    assert await ids(store, task="rare") == ["d-039", "d-079", "d-119"]


async def test_reading_holds_nothing_that_a_writer_needs(store: SqlStore, tmp_path: Path) -> None:
    await store.add_decisions([samples.decision(f"d-{n:03}", created_at=float(n)) for n in range(100)])
    looking = SqlStore(tmp_path / "laserve.db", read_only=True)
    await looking.open()
    seen = []
    async with asyncio.timeout(30):  # far more than the second that a kept lock would take
        async for logged in looking.decisions(Wanted()):
            seen.append(logged.decision.id)
            if len(seen) == 10:
                await store.add_decisions([samples.decision("d-100", created_at=100.0)])
                await store.erase(
                    "d-099", now=5.0
                )  # empties the write-ahead log, which needs every reader out
                assert (tmp_path / "laserve.db-wal").stat().st_size == 0
    await looking.close()
    assert seen == [f"d-{n:03}" for n in range(101)]
    assert logged.decision.retention == "full"


async def test_pages_are_found_by_the_index_on_time(store: SqlStore) -> None:
    await store.add_decisions([samples.decision("d-1")])
    async with store._database.reading() as connection:
        plans = []

        async def explain(query: Any) -> None:
            compiled = query.compile(connection.sync_engine, compile_kwargs={"literal_binds": True})
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")
            plans.extend(row[-1] for row in rows)

        await explain(pages.page_query(Wanted(with_feedback=True), behind=(1.0, "d-0")))
    assert any("decisions_created_at" in plan for plan in plans)
    assert not any(plan.startswith("SCAN") for plan in plans)
