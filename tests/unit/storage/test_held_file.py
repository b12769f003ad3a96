"""The file of a database, as one process holds it."""

import fcntl
import os
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from laserve.errors import ConfigError
from laserve.storage.held_file import HeldFile
from laserve.storage.log_id import rescued


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "laserve.db"


@contextmanager
def held(path: Path) -> Iterator[HeldFile]:
    """A watched database with one row that is in its write-ahead log."""
    file = HeldFile(path)
    file.take()
    try:
        with closing(connected(path)) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS t (n)")
            file.watch()
            connection.execute("INSERT INTO t VALUES (1)")
        yield file
    finally:
        file.release()


def connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    return connection


def rows(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as connection:
        return [row[0] for row in connection.execute("SELECT n FROM t ORDER BY n")]


def side(path: Path, end: str) -> Path:
    return Path(f"{path}{end}")


def test_a_file_that_is_made_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "laserve.db"
    with held(path):
        for file in (path, side(path, "-wal"), side(path, "-shm")):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_it_is_held_once_by_whatever_name(path: Path, tmp_path: Path) -> None:
    with held(path) as file:
        for name in ("hard", "soft", "folder"):
            (tmp_path / name).mkdir()
        (hard := tmp_path / "hard" / "laserve.db").hardlink_to(path)
        (soft := tmp_path / "soft" / "laserve.db").symlink_to(path)
        (linked := tmp_path / "linked").symlink_to(tmp_path)
        for other in (path, hard, soft, linked / "laserve.db"):
            with pytest.raises(ConfigError, match=f"^data_dir: another laserve process holds {other}"):
                HeldFile(other).take()
        side(path, ".lock").unlink()
        with pytest.raises(ConfigError, match=r"^data_dir: another laserve process holds"):
            HeldFile(path).take()
        assert file.missing() is None
    with held(path):
        pass


def test_a_look_at_the_file_does_not_keep_a_starting_service_from_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.touch()
    slept: list[float] = []
    with path.open("rb") as looked_at:
        fcntl.flock(looked_at, fcntl.LOCK_SH | fcntl.LOCK_NB)

        def wait(seconds: float) -> None:
            """The look ends meanwhile."""
            slept.append(seconds)
            fcntl.flock(looked_at, fcntl.LOCK_UN)

        monkeypatch.setattr("laserve.storage.held_file.time.sleep", wait)
        with held(path):
            assert slept == [0.05]


def test_one_that_was_refused_takes_nothing_from_the_one_that_holds_it(path: Path) -> None:
    with held(path), closing(connected(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        second = HeldFile(path)
        with pytest.raises(ConfigError):
            second.take()
        second.release()
        with closing(sqlite3.connect(path, timeout=0)) as other, pytest.raises(sqlite3.OperationalError):
            other.execute("BEGIN IMMEDIATE")  # the locks of the first are where they were
        connection.execute("COMMIT")


def test_nothing_is_missing_of_files_that_are_there(path: Path) -> None:
    with held(path) as file:
        assert file.missing() is None
        with closing(connected(path)) as connection:
            connection.execute("INSERT INTO t VALUES (2)")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        os.utime(path)
        assert file.missing() is None
        assert not file.shrunk()


@pytest.mark.parametrize("end", ["", "-wal", "-shm"])
def test_a_file_that_was_removed_is_named(path: Path, end: str) -> None:
    with held(path) as file:
        side(path, end).unlink()
        assert file.missing() == f"{path}{end} has been removed"


@pytest.mark.parametrize("end", ["", "-wal", "-shm"])
def test_a_file_that_was_replaced_is_named_also_by_its_own_copy(path: Path, end: str) -> None:
    with held(path) as file:
        shutil.copy2(side(path, end), path.with_name("fresh"))
        path.with_name("fresh").replace(side(path, end))
        assert file.missing() == f"{path}{end} is another file now"


def test_a_file_that_came_back_is_not_missing(path: Path) -> None:
    with held(path) as file:
        path.rename(path.with_name("away"))
        assert file.missing() is not None
        path.with_name("away").rename(path)
        assert file.missing() is None


def test_a_folder_that_is_reached_no_more_is_noticed(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    (link := tmp_path / "data").symlink_to("one")
    path = link / "laserve.db"
    with held(path) as file:
        link.unlink()
        link.symlink_to("other")
        assert file.missing() == f"{path} has been removed"
        link.unlink()
        link.symlink_to("one")
        assert file.missing() is None


def test_a_file_that_has_become_shorter_is_noticed_once(path: Path) -> None:
    with held(path) as file:
        with closing(connected(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert not file.shrunk()
        os.truncate(path, 4096)
        assert (file.shrunk(), file.shrunk()) == (True, False)
        path.unlink()
        assert not file.shrunk()  # another matter


LOSSES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "the database": Path.unlink,
    "the write-ahead log": lambda path: side(path, "-wal").unlink(),
    "the shared memory": lambda path: side(path, "-shm").unlink(),
    "everything": lambda path: [each.unlink() for each in path.parent.iterdir()],
    "what was in it": lambda path: (path.with_name("fresh").touch(), path.with_name("fresh").replace(path)),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
def test_all_that_was_committed_is_rescued(path: Path, loss: Callable[[Path], object]) -> None:
    with held(path) as file:
        rescued(path).write_bytes(b"of an earlier rescue")
        loss(path)
        copy = file.rescue()
        assert copy == rescued(path)
        assert rows(copy) == [1]
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        assert not copy.with_name(f"{copy.name}.new").exists()


def test_a_rescue_that_fails_leaves_the_earlier_copy(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with held(path) as file:
        rescued(path).write_bytes(b"of an earlier rescue")
        path.unlink()

        def failing(self: Path, target: Path) -> Path:
            raise OSError("no room")

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", failing)
            with pytest.raises(OSError, match="no room"):
                file.rescue()
        assert rescued(path).read_bytes() == b"of an earlier rescue"
        assert rows(file.rescue()) == [1]


def test_nothing_is_rescued_where_nothing_was_open(path: Path) -> None:
    file = HeldFile(path)
    with pytest.raises(OSError, match="not open"):
        file.rescue()
    file.take()
    with pytest.raises(OSError, match="not open"):
        file.rescue()
    file.release()
    file.release()  # twice does no harm
    with held(path):
        pass


def test_a_folder_that_has_gone_cannot_be_rescued_into(tmp_path: Path) -> None:
    path = tmp_path / "data" / "laserve.db"
    with held(path) as file:
        path.parent.rename(tmp_path / "moved")
        with pytest.raises(OSError, match="No such file"):
            file.rescue()
    assert rows(tmp_path / "moved" / "laserve.db") == [1]


def test_a_release_leaves_no_side_files_of_its_own(path: Path) -> None:
    with held(path):
        assert side(path, "-wal").exists()
    assert not side(path, "-wal").exists()
    assert rows(path) == [1]


def test_a_release_spares_the_side_files_of_the_database_that_is_there_now(path: Path) -> None:
    away = path.with_name("away")
    away.mkdir()
    with held(path) as first:
        for end in ("", "-wal", "-shm", ".lock"):
            side(path, end).rename(side(away / "laserve.db", end))
        assert first.missing() is not None
        with held(path) as second, closing(connected(path)) as connection:
            connection.execute("INSERT INTO t VALUES (2)")
            first.release()
            assert side(path, "-wal").exists()
            assert side(path, "-shm").exists()
            assert second.missing() is None
            # What a machine that dies now leaves: the last row is in the write-ahead log.
            copy = path.with_name("copy")
            copy.mkdir()
            for end in ("", "-wal"):
                shutil.copy(side(path, end), side(copy / "laserve.db", end))
            assert rows(copy / "laserve.db") == [1, 2]
    assert rows(away / "laserve.db") == [1]


def test_a_release_of_a_file_that_has_gone_keeps_its_write_ahead_log(path: Path) -> None:
    with held(path):
        shutil.copy(path, path.with_name("fresh"))
        path.with_name("fresh").replace(path)
    assert rows(path) == [1]  # by the log beside it


@pytest.mark.parametrize("end", ["-wal", "-shm"])
def test_a_release_writes_nothing_once_a_side_file_has_gone(path: Path, end: str) -> None:
    # The database may have been brought back in place by then, and the side files may be another program's.
    copy = path.with_name("copy")
    with held(path):
        side(path, end).unlink()
        side(path, end).write_bytes(b"another program's")
        subprocess.run(["cp", path, copy], check=True)  # opening it here would give up this process's locks
    assert side(path, end).read_bytes() == b"another program's"
    assert path.read_bytes() == copy.read_bytes()
