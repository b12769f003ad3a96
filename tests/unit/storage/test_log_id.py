"""The id of a log, beside its database."""

import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from contract import samples
from laserve.errors import ConfigError, CorruptLog, StoreError
from laserve.storage.log_id import LogId, check_not_gone, rescued
from laserve.storage.store import SqlStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "laserve.db"


def marker(path: Path) -> Path:
    return path.with_name("laserve.db.log-id")


def sql(path: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement).fetchall()


async def use(path: Path, events: int = 1, *, read_only: bool = False) -> None:
    """Open the database, append so many events, close it."""
    store = SqlStore(path, read_only=read_only)
    try:
        await store.open()
        if events:
            async with store.writing() as log:
                for _ in range(events):
                    await log.append(samples.event(1))
    finally:
        await store.close()


async def test_the_first_event_names_the_log_for_good(path: Path) -> None:
    await use(path)
    [(checksum,)] = sql(path, "SELECT checksum FROM events")
    assert marker(path).read_text() == f"{checksum}\n"
    assert stat.S_IMODE(marker(path).stat().st_mode) == 0o600
    written = marker(path).stat().st_mtime_ns
    await use(path, events=3)
    assert marker(path).stat().st_mtime_ns == written
    assert sorted(each.name for each in path.parent.iterdir()) == [
        "laserve.db",
        "laserve.db.lock",
        "laserve.db.log-id",
    ]


async def test_a_log_without_events_has_no_name_yet(path: Path) -> None:
    await use(path, events=0)
    assert not marker(path).exists()
    path.unlink()
    await use(path)
    assert marker(path).exists()


async def test_a_database_of_an_older_version_gets_its_name_when_it_is_opened(path: Path) -> None:
    await use(path)
    name = marker(path).read_text()
    marker(path).unlink()
    await use(path, events=0)
    assert marker(path).read_text() == name


async def test_who_only_reads_writes_no_name_down_and_compares_the_one_that_is_there(path: Path) -> None:
    await use(path)
    name = marker(path).read_text()
    marker(path).unlink()
    await use(path, events=0, read_only=True)
    assert not marker(path).exists()
    marker(path).write_text(name)
    await use(path, events=0, read_only=True)
    marker(path).write_text("another\n")
    with pytest.raises(ConfigError, match=r"data_dir: .*another log"):
        await use(path, events=0, read_only=True)
    assert marker(path).read_text() == "another\n"


@pytest.mark.parametrize("name", ["", "another\n", "\xff\x00"], ids=["empty", "another", "no text"])
async def test_a_log_of_another_name_is_refused_and_left_alone(path: Path, name: str) -> None:
    await use(path)
    marker(path).write_bytes(name.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"data_dir: .*laserve\.db holds another log than before"):
        await use(path)
    assert sql(path, "SELECT count(*) FROM events") == [(1,)]
    assert marker(path).read_bytes() == name.encode("latin-1")


async def test_a_name_without_a_line_end_is_the_same_name(path: Path) -> None:
    await use(path)
    marker(path).write_text(marker(path).read_text().strip())
    await use(path, events=0)


async def test_a_database_without_a_log_is_refused_where_one_was(path: Path, caplog: Any) -> None:
    await use(path)
    sql(path, "DELETE FROM events")
    caplog.clear()
    with pytest.raises(ConfigError, match=r"data_dir: .*laserve\.db holds no log.*laserve\.db\.log-id"):
        await use(path)
    assert "a new one begins" not in caplog.text


async def test_a_log_whose_first_event_is_missing_is_reported_by_who_reads_it(path: Path) -> None:
    await use(path, events=3)
    sql(path, "DELETE FROM events WHERE position = 1")
    store = SqlStore(path)
    await store.open()
    with pytest.raises(CorruptLog, match=r"\bevent 1 is missing"):
        async for _ in store.events():
            pass
    await store.close()


async def test_an_altered_first_event_is_reported_by_who_reads_it(path: Path) -> None:
    await use(path, events=2)
    sql(path, "UPDATE events SET created_at = 0 WHERE position = 1")
    store = SqlStore(path, read_only=True)
    await store.open()
    with pytest.raises(CorruptLog, match=r"\bevent 1\b"):
        async for _ in store.events():
            pass
    await store.close()


async def test_a_name_is_written_whole_or_not_at_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: Path, target: Path) -> Path:
        assert self.read_text() == "the name\n"  # it is complete before it takes its place
        raise OSError("no room")

    log_id = LogId(path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", failing)
        with pytest.raises(StoreError, match=r"laserve\.db\.log-id cannot be written: no room"):
            log_id.keep("the name")
    assert not log_id.kept
    assert not marker(path).exists()
    log_id.keep("the name")
    assert log_id.kept
    assert LogId(path).kept


async def test_an_event_is_not_acknowledged_before_its_log_has_a_name(path: Path) -> None:
    store = SqlStore(path)
    await store.open()
    marker(path).with_name("laserve.db.log-id.new").mkdir()
    with pytest.raises(StoreError, match=r"laserve\.db\.log-id cannot be written"):
        async with store.writing() as log:
            await log.append(samples.event(1))
    marker(path).with_name("laserve.db.log-id.new").rmdir()
    async with store.writing() as log:
        assert await log.tip() == 1
        await log.append(samples.event(2))
    assert marker(path).exists()
    await store.close()


async def test_nothing_is_written_for_a_transaction_that_fails(path: Path) -> None:
    store = SqlStore(path)
    await store.open()
    with pytest.raises(ZeroDivisionError):
        async with store.writing() as log:
            await log.append(samples.event(1))
            raise ZeroDivisionError
    assert not marker(path).exists()
    await store.close()


@pytest.mark.parametrize("left", ["removed", "empty"])
async def test_a_database_that_is_gone_is_not_begun_anew(path: Path, left: str) -> None:
    await use(path)
    path.unlink()
    if left == "empty":
        path.touch()
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"^data_dir: .* is gone") as refused:
            await use(path)
        assert f"remove {marker(path)} to begin a new log" in refused.value.message
    assert path.exists() == (left == "empty")
    marker(path).unlink()
    await use(path)
    assert sql(path, "SELECT count(*) FROM events") == [(1,)]


def test_a_rescued_copy_alone_keeps_a_new_log_from_beginning(path: Path) -> None:
    check_not_gone(path)
    rescued(path).write_bytes(b"whatever it is")
    with pytest.raises(ConfigError, match=r"^data_dir: ") as refused:
        check_not_gone(path)
    assert f"({rescued(path)} is a copy)" in refused.value.message
    assert f"remove {rescued(path)} to begin a new log" in refused.value.message
    path.write_bytes(b"a database")
    check_not_gone(path)


async def test_a_rescued_copy_that_holds_more_than_the_database_is_named(path: Path) -> None:
    await use(path, events=2)
    shutil.copy(path, rescued(path))
    await use(path, events=1)  # it has all of the copy, and more
    sql(rescued(path), "DELETE FROM events WHERE position = 2")
    await use(path, events=1)

    sql(rescued(path), "UPDATE events SET checksum = 'other' WHERE position = 1")
    with pytest.raises(ConfigError, match=r"^data_dir: .*\.rescued may hold what .*laserve\.db lacks"):
        await use(path)
    rescued(path).unlink()
    await use(path)


async def test_a_rescued_copy_with_another_decision_is_named(path: Path) -> None:
    await use(path)
    store = SqlStore(path)
    await store.open()
    await store.add_decisions([samples.decision("d-1"), samples.decision("d-2")])
    await store.close()
    shutil.copy(path, rescued(path))
    await use(path)
    sql(path, "DELETE FROM decisions WHERE id = 'd-1'")
    with pytest.raises(ConfigError, match=r"^data_dir: .*\.rescued may hold what .*laserve\.db lacks"):
        await use(path)


async def test_a_rescued_copy_that_cannot_be_read_is_named(path: Path) -> None:
    await use(path)
    for content in (b"no database " * 1000, b""):
        rescued(path).write_bytes(content)
        with pytest.raises(ConfigError, match=r"^data_dir: .*\.rescued may hold what"):
            await use(path)
