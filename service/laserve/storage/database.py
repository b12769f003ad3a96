"""The SQLite file that a process holds: its lock, its connections, and whether it takes writes."""

import asyncio
import logging
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import FileLock, Timeout
from sqlalchemy import URL, Connection, event, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from laserve.errors import ConfigError, StoreError

logger = logging.getLogger(__name__)

_DRIVER = "sqlite+aiosqlite"
#: `secure_delete` overwrites what is deleted, since deleted texts must not be found in the file.
_READING = ("busy_timeout = 5000",)
_WRITING = ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON")
#: What a database that refused a write must take before it is trusted again: more than a decision.
_PROBE_BYTES = 256 * 1024


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what the driver raises into a StoreError."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        reason = getattr(error, "orig", None) or error
        raise StoreError(f"the database refused: {reason}") from error


class Database:
    """One SQLite file.

    WAL with ``synchronous = FULL``; one process at a time, held by a lock file beside the database; one
    writing transaction at a time within it.

    Args:
        path: the file; None for a temporary one that goes with the process.
        read_only: look at a database that another process may be writing: no lock, no migration, no writes.
        max_bytes: size over which the file does not grow; None for no limit.
    """

    def __init__(self, path: Path | None, *, read_only: bool = False, max_bytes: int | None = None) -> None:
        self.path = path
        self.refusing = False
        self._read_only = read_only
        self._max_bytes = max_bytes
        self._probe: asyncio.Future[None] | None = None
        self._resources = AsyncExitStack()
        self._writing = asyncio.Lock()
        self._engine: AsyncEngine | None = None
        #: Whether texts that were removed are still in the write-ahead log.
        self.unscrubbed = False
        #: Writes that another process's lock has kept out.
        self._kept_out = 0

    async def open(self) -> None:
        """Raises ConfigError when the file cannot be used, or another process holds it."""
        if self.path is None:
            folder = self._resources.enter_context(tempfile.TemporaryDirectory(prefix="laserve-"))
            self.path = Path(folder) / "laserve.db"
        if self._read_only:
            if not self.path.is_file():
                raise ConfigError(f"data_dir: no database at {self.path}")
            database = f"file:{quote(str(self.path.resolve()))}"
            self._connect(
                URL.create(_DRIVER, database=database, query={"mode": "ro", "uri": "true"}), _READING
            )
            return
        self._hold(self.path)
        self._connect(URL.create(_DRIVER, database=str(self.path)), (*_READING, *_WRITING))
        try:
            async with self.transaction() as connection:
                await connection.run_sync(_migrate)
        except StoreError as error:
            raise ConfigError(f"data_dir: cannot use {self.path}: {error.message}") from error

    def _hold(self, path: Path) -> None:
        """Take the lock file beside the database."""
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)  # it holds prompts and answers; SQLite gives its side files the same mode
            path.open("ab").close()  # an owner may touch what cannot be written
            self._resources.enter_context(FileLock(f"{path}.lock", timeout=0))
        except Timeout:
            raise ConfigError(
                f"data_dir: another laserve process holds {path}; stop it, or set another data_dir"
            ) from None
        except OSError as error:
            raise ConfigError(f"data_dir: cannot write in {path.parent}: {error}") from error

    def _connect(self, url: URL, pragmas: Sequence[str]) -> None:
        # Parameters are prompts and answers, which no error message may quote.
        self._engine = create_async_engine(url, hide_parameters=True)

        @event.listens_for(self._engine.sync_engine, "connect")
        def set_pragmas(connection: Any, _record: object) -> None:
            # Text that is not UTF-8 was not written here: it must reach the checksum, not fail the read.
            connection.driver_connection.text_factory = _decode
            cursor = connection.cursor()
            for pragma in pragmas:
                cursor.execute(f"PRAGMA {pragma}")
            if self._max_bytes is not None:
                cursor.execute("PRAGMA page_size")
                cursor.execute(f"PRAGMA max_page_count = {self._max_bytes // cursor.fetchone()[0]}")
            cursor.close()

        self._resources.push_async_callback(self._engine.dispose)

    async def close(self) -> None:
        if self._probe is not None:
            await asyncio.gather(self._probe, return_exceptions=True)
        self._engine = None
        await self._resources.aclose()

    async def check(self) -> None:
        """Raise StoreError unless it can be read, and written where it refused the last write."""
        if not self.refusing:
            async with self.reading() as connection:
                await connection.execute(select(1))
            return
        if self._probe is None or self._probe.done():  # one for all who ask: a locked database lets each wait
            self._probe = asyncio.ensure_future(self._write_something())
            self._probe.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(self._probe)

    async def _write_something(self) -> None:
        async with self.transaction() as connection:
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
            await connection.exec_driver_sql("CREATE TABLE probe (filler BLOB)")
            await connection.exec_driver_sql("INSERT INTO probe VALUES (zeroblob(?))", (_PROBE_BYTES,))
            await connection.exec_driver_sql("DROP TABLE probe")
        self.refusing = False

    async def scrub(self) -> None:
        """Empty the write-ahead log, which still holds the pages as they were before a text was removed.

        A reader may hold it; then the next call tries again, and `expire_texts` makes one every hour.
        """
        self.unscrubbed = True
        async with self._writing, self.reading() as connection:
            await connection.exec_driver_sql("PRAGMA busy_timeout = 100")
            try:
                row = (await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")).one()
                self.unscrubbed = bool(row[0])
            except SQLAlchemyError as error:  # a full disk, say; the texts are removed all the same
                logger.warning("removed texts are still in the write-ahead log: %s", error.__cause__)
            finally:
                await connection.exec_driver_sql(f"PRAGMA {_READING[0]}")

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection to read with. Raises StoreError."""
        with _translated():
            async with self._open_engine().connect() as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """The one that may write now, committed at its end. Raises StoreError."""
        kept_out = self._kept_out
        try:
            async with self._writing:
                with _translated():
                    if self._kept_out > kept_out:  # while this one waited; it would wait as long once more
                        raise OSError("database is locked")
                    async with self._open_engine().begin() as connection:
                        yield connection
        except StoreError as error:
            self._kept_out += _is_lock(error)
            self.refusing = True
            raise

    def _open_engine(self) -> AsyncEngine:
        if self._engine is None:
            raise StoreError("the store is closed")
        return self._engine


def _is_lock(error: StoreError) -> bool:
    """Whether the lock of another process was the reason."""
    code = getattr(getattr(error.__cause__, "orig", None), "sqlite_errorcode", 0)
    return bool(code & 0xFF == sqlite3.SQLITE_BUSY)


def _decode(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", "laserve.storage:migrations")
    config.attributes["connection"] = connection
    # SQLite begins no transaction for DDL by itself: an interrupted migration would leave half of its tables.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise ConfigError(f"data_dir: the database is not of this version of laserve: {error}") from error
