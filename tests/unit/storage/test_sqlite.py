"""What the open database does that no call of the store shows."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from builders import make_decision
from laserve.errors import StoreError
from laserve.storage.sqlite import Database
from laserve.storage.store import SqlStore


async def test_an_emptied_file_gets_no_new_connection_since_that_would_remove_its_write_ahead_log(
    tmp_path: Path,
) -> None:
    database = tmp_path / "laserve.db"
    store = SqlStore(database)
    await store.open()
    try:
        await store.add_decisions([make_decision(id="d-1")])
        whole = database.read_bytes()
        committed = Path(f"{database}-wal").read_bytes()
        database.write_bytes(b"")
        await asyncio.gather(*(store.decision("d-1") for _ in range(12)), return_exceptions=True)
        assert Path(f"{database}-wal").read_bytes() == committed
        database.write_bytes(whole)
        await store.check()
        assert (await store.decision("d-1")).id == "d-1"
    finally:
        await store.close()


@pytest.mark.parametrize(("options", "milliseconds"), [({}, 5000), ({"busy_timeout_s": 0.25}, 250)])
async def test_a_connection_waits_five_seconds_for_another_process_unless_told_otherwise(
    tmp_path: Path, options: dict[str, float], milliseconds: int
) -> None:
    database = Database(tmp_path / "laserve.db", **options)
    await database.open()
    try:
        await database.scrub()  # waits less, on a connection that others get after it
        async with database.reading() as connection:
            assert await connection.scalar(text("PRAGMA busy_timeout")) == milliseconds
    finally:
        await database.close()


async def test_a_write_fails_once_another_process_has_held_the_file_for_its_busy_timeout(
    tmp_path: Path,
) -> None:
    store = SqlStore(tmp_path / "laserve.db", busy_timeout_s=0.1)
    await store.open()
    try:
        with closing(sqlite3.connect(tmp_path / "laserve.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="database is locked"):
                await store.add_decisions([make_decision(id="d-1")])
            other.execute("ROLLBACK")
        await store.add_decisions([make_decision(id="d-1")])
    finally:
        await store.close()
