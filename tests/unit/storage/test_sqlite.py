"""What the open database does that no call of the store shows."""

import asyncio
from pathlib import Path

from builders import make_decision
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
