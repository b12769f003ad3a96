"""The files of the open database: the locks on them, their identity, and a copy when they are gone."""

import fcntl
import os
import sqlite3
import struct
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from laserve.errors import ConfigError
from laserve.storage.log_id import rescued

#: Endings of the files of a database in WAL mode. The latest commits are in the ``-wal`` file alone.
_FILES = ("", "-wal", "-shm")
#: Seconds after which nobody who only looks whether a file is held has a lock on it.
_LOOKED_AT_S = 0.05
#: First byte that SQLite's readers lock, and how many (SHARED_FIRST and SHARED_SIZE in its sources).
_SHARED_BYTES = (0x40000002, 510)
#: Whether a rescued copy has a decision that the database lacks, or its last event. An event vouches for all
#: before it, and feedback is written with its event.
_LACKING = """
    SELECT EXISTS (
        SELECT 1 FROM rescued.decisions AS theirs
        WHERE NOT EXISTS (SELECT 1 FROM main.decisions AS ours WHERE ours.id = theirs.id)
    ) OR EXISTS (
        SELECT 1 FROM (SELECT position, checksum FROM rescued.events ORDER BY position DESC LIMIT 1) AS theirs
        WHERE NOT EXISTS (
            SELECT 1 FROM main.events AS ours
            WHERE ours.position = theirs.position AND ours.checksum = theirs.checksum
        )
    )
"""


def is_held(path: Path) -> bool:
    """Whether another process holds this database now; the file is not changed.

    The lock is taken for a moment, and shared, so that others who look at the same time do not see it.
    """
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # it cannot be opened, which says nothing about others
        return False
    return False


def _lock(descriptor: int) -> None:
    """Take the lock of the holder, at the second attempt if `is_held` has its own at the first.

    Raises:
        BlockingIOError: another process has it.
    """
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    time.sleep(_LOOKED_AT_S)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class _Identity(NamedTuple):
    """Device and inode of the file at a path."""

    device: int
    inode: int


class HeldFile:
    """Holds a SQLite file so that no second process writes to it, under whatever name.

    A lock on the file itself excludes processes that reach the file by another path, or after the lock file
    beside it was removed; the lock file excludes earlier versions of laserve, which know no other lock. Both
    locks end with the process.

    SQLite keeps writing into an open file that was removed or replaced, and the next start does not see these
    writes. So `missing` compares the paths with the opened files, and `rescue` copies the committed rows from
    the opened files.

    Args:
        path: the file, as the configuration names it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(f"{path.resolve()}.lock", timeout=0)
        self._descriptor: int | None = None
        self._anchor: sqlite3.Connection | None = None
        self._identities: dict[str, _Identity | None] = {}
        self._size = 0

    def take(self) -> None:
        """Make the file, if there is none, and take the locks.

        Raises:
            ConfigError: another process holds it, or the folder cannot be written.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock.acquire()
            self.path.touch(mode=0o600)  # it holds prompts and answers; its side files get the same mode
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
            _lock(self._descriptor)
        except (Timeout, BlockingIOError):
            self.release()
            raise ConfigError.at(
                "data_dir", f"another laserve process holds {self.path}; stop it, or set another data_dir"
            ) from None
        except OSError as error:
            self.release()
            raise ConfigError.at("data_dir", f"cannot write in {self.path.parent}: {error}") from error

    def watch(self) -> None:
        """Remember which files are open, once the database is in WAL mode.

        A connection stays open from here on, so that SQLite keeps these side files.
        """
        self._anchor = sqlite3.connect(
            f"{self.path.resolve().as_uri()}?mode=rw", uri=True, check_same_thread=False
        )
        self._anchor.execute("SELECT count(*) FROM sqlite_master").fetchone()
        self._identities = {end: self._identity(end) for end in _FILES}
        self._size = self.path.stat().st_size

    def missing(self) -> str | None:
        """The first open file that is gone or replaced, in a message; None when all are there."""
        for end, opened in self._identities.items():
            if (present := self._identity(end)) != opened:
                return f"{self.path}{end} {'has been removed' if present is None else 'is another file now'}"
        return None

    def emptied(self) -> bool:
        """Whether there is a file of no bytes at the path."""
        with suppress(OSError):
            return self.path.stat().st_size == 0
        return False

    def shrunk(self) -> bool:
        """Whether the file is shorter than at the last call: cut off, or vacuumed by another program."""
        with suppress(OSError):
            before, self._size = self._size, self.path.stat().st_size
            return self._size < before
        return False

    def rescue(self) -> Path:
        """Copy all that was committed into a new file beside the path, and return where it is.

        Raises:
            sqlite3.Error: the open files cannot be read, or there is no room.
            OSError: the folder is not there.
        """
        if self._anchor is None:
            raise OSError("the database was not open")
        copy = rescued(self.path)
        fresh = copy.with_name(f"{copy.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        with closing(sqlite3.connect(fresh)) as target:
            self._anchor.backup(target)
        return fresh.replace(copy)

    def lacks(self) -> Path | None:
        """The rescued copy, unless all its decisions and events are in the database as well."""
        copy = rescued(self.path)
        if self._anchor is None or not copy.exists():
            return None
        try:
            self._anchor.execute("ATTACH DATABASE ? AS rescued", (f"{copy.resolve().as_uri()}?mode=ro",))
            (lacking,) = self._anchor.execute(_LACKING).fetchone()
            self._anchor.execute("DETACH DATABASE rescued")
        except sqlite3.Error:  # a copy that cannot be read says nothing about what it holds
            return copy
        return copy if lacking else None

    def release(self) -> None:
        """Let others have it; after all other connections are closed, since this drops their locks."""
        if self._anchor is not None:
            if self.missing() is not None:
                self._spare_side_files()
            self._anchor.close()
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._anchor = self._descriptor = None
        self._lock.release()

    def _spare_side_files(self) -> None:
        """Keep SQLite from removing side files by their path, as it does when the last connection closes.

        They are another database's now. SQLite wants the whole file for itself first; a lock of this
        descriptor on the bytes by which readers hold a file stands against that.
        """
        assert self._descriptor is not None  # noqa: S101 - taken before the anchor was made
        lock = struct.pack("hhqqi", fcntl.F_RDLCK, os.SEEK_SET, *_SHARED_BYTES, 0)
        with suppress(OSError):
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, lock)

    def _identity(self, end: str) -> _Identity | None:
        try:
            status = Path(f"{self.path}{end}").stat()
        except OSError:
            return None
        return _Identity(status.st_dev, status.st_ino)
