"""The open SQLite database of a process: its connections, its one writer, and its readiness for writes."""

import asyncio
import logging
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from sqlalchemy import (
    URL,
    Boolean,
    ColumnElement,
    Connection,
    Float,
    Integer,
    LargeBinary,
    Table,
    Text,
    and_,
    delete,
    event,
    exists,
    insert,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from laserve.errors import ConfigError, StoreError
from laserve.storage import tables
from laserve.storage.doubts import Doubts
from laserve.storage.held_file import HeldFile
from laserve.storage.log_id import check_not_gone

logger = logging.getLogger(__name__)

_DRIVER = "sqlite+aiosqlite"
#: Default of `Database`: seconds that a connection waits for the lock of another process.
BUSY_TIMEOUT_S = 5.0
#: `secure_delete` overwrites what is deleted, since deleted texts must not be found in the file.
_WRITING = ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON")
#: Bytes of the test write that a database must take after it refused a write; more than a decision has.
_PROBE_BYTES = 256 * 1024
#: Value of the key columns in the rows of the test write.
_PROBE = "laserve probe"

#: Tables that requests write.
_WRITTEN = (tables.decisions, tables.events, tables.feedback)
#: A query that needs each of these tables, and reads no row's columns.
_LOOK = select(*(exists(select(1).select_from(table)) for table in _WRITTEN))


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

    WAL with ``synchronous = FULL``; one process at a time, which holds the file (`HeldFile`); one writing
    transaction at a time within the process.

    Args:
        path: the file; None for a temporary one that goes with the process.
        read_only: look at a database that another process may be writing: no lock, no migration, no writes.
        max_bytes: size over which the file does not grow; None for no limit.
        busy_timeout_s: seconds that a connection waits for the lock of another process before it fails.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        read_only: bool = False,
        max_bytes: int | None = None,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
    ) -> None:
        self.path = path
        self.refusing = False
        self._read_only = read_only
        self._max_bytes = max_bytes
        self._busy_timeout = f"busy_timeout = {round(busy_timeout_s * 1000)}"
        self._file: HeldFile | None = None
        #: Reason why the database takes no write any more.
        self._stopped: str | None = None
        self._rescue: asyncio.Task[None] | None = None
        #: Whether the file must be checked as a whole before it is trusted again.
        self._suspect = False
        self._doubts = Doubts()
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
                raise ConfigError.at("data_dir", f"no database at {self.path}")
            self._connect(_url(self.path, "ro"))
            return
        file = HeldFile(self.path)
        check_not_gone(self.path)
        file.take()
        self._resources.callback(file.release)
        # The file exists by now; with mode=rw SQLite never makes another one in its place.
        self._connect(_url(self.path, "rw"), *_WRITING)
        try:
            async with self.transaction() as connection:
                await connection.run_sync(_migrate)
            with _translated():
                file.watch()
                copy = file.lacks()
        except StoreError as error:
            raise ConfigError.at("data_dir", f"cannot use {self.path}: {error.message}") from error
        if copy is not None:
            raise ConfigError.at(
                "data_dir",
                f"{copy} may hold what {self.path} lacks; bring it back in its place, "
                f"or remove it to go on with {self.path}",
            )
        self._file = file

    def _connect(self, url: URL, *pragmas: str) -> None:
        # Parameters are prompts and answers, which no error message may quote.
        self._engine = create_async_engine(url, hide_parameters=True)

        @event.listens_for(self._engine.sync_engine, "do_connect")
        def spare_emptied_file(*_: object) -> None:
            # SQLite removes the write-ahead log of an empty file, and with it all that was committed last.
            if self._file is not None and self._file.emptied():
                raise sqlite3.OperationalError(f"{self.path} has been emptied")

        @event.listens_for(self._engine.sync_engine, "connect")
        def set_pragmas(connection: Any, _record: object) -> None:
            # Text that is not UTF-8 was not written here: it must reach the checksum, not fail the read.
            connection.driver_connection.text_factory = _decode
            cursor = connection.cursor()
            for pragma in (self._busy_timeout, *pragmas):
                cursor.execute(f"PRAGMA {pragma}")
            if self._max_bytes is not None:
                cursor.execute("PRAGMA page_size")
                cursor.execute(f"PRAGMA max_page_count = {self._max_bytes // cursor.fetchone()[0]}")
            cursor.close()

        self._resources.push_async_callback(self._engine.dispose)

    async def close(self) -> None:
        with suppress(StoreError):
            self._look()  # what has gone is saved while its files are still open
        for task in (self._probe, self._rescue):
            if task is not None:
                await asyncio.gather(task, return_exceptions=True)
        self._engine = self._file = None
        await self._resources.aclose()

    def stop(self, reason: str) -> None:
        """Refuse every write from now on, since acknowledged rows could be lost."""
        if self._stopped is None:
            logger.error("the database is not written any more: %s", reason)
            self._stopped = f"{reason}; mend this and restart the service"
        self.refusing = True

    def _look(self) -> None:
        """Raise StoreError when the database has stopped, as it does when one of its files has gone."""
        if self._stopped is None and self._file is not None:
            if (gone := self._file.missing()) is not None:
                self.stop(gone)
                self._rescue = asyncio.create_task(self._save(self._file), name="rescue-database")
            elif self._file.shrunk():
                logger.warning(
                    "%s has become shorter; its pages are checked before the next write", self.path
                )
                self._suspect = self.refusing = True
        if self._stopped is not None:
            raise StoreError(f"the database has stopped: {self._stopped}")

    async def _save(self, file: HeldFile) -> None:
        try:
            copy = await asyncio.to_thread(file.rescue)
        except (OSError, sqlite3.Error) as error:
            logger.warning("the acknowledged rows could not be copied: %s", error)
        else:
            logger.error("all acknowledged rows have been copied to %s", copy)

    async def check(self) -> None:
        """Raise StoreError unless it can be read, and written where it refused a write."""
        self._look()
        if not self.refusing:
            try:
                async with self.reading() as connection:
                    await connection.execute(_LOOK)
            except StoreError:
                self.refusing = True
                raise
            return
        if self._probe is None or self._probe.done():  # one for all who ask: a locked database lets each wait
            self._probe = asyncio.ensure_future(self._write_something())
            self._probe.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(self._probe)

    async def _write_something(self) -> None:
        """Insert a row into each table that requests write, and delete it, in one transaction."""
        try:
            await self._insert_and_delete()
        except StoreError:
            # Connections may have cached pages of a damaged file; those of the next try read the file anew.
            await self._open_engine().dispose()
            raise
        self._doubts.probe_passed()
        if (doubt := self._doubts.reason) is not None:
            raise StoreError(doubt)
        self.refusing = False

    async def _insert_and_delete(self) -> None:
        async with self.transaction() as connection:
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
            for table in _WRITTEN:
                row, itself = _probe_row(table)
                await connection.execute(insert(table).values(row))
                await connection.execute(delete(table).where(itself))

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
                await connection.exec_driver_sql(f"PRAGMA {self._busy_timeout}")

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection to read with. Raises StoreError."""
        if self._rescue is not None:
            self._look()
        with _translated():
            async with self._open_engine().connect() as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self, what: str | None = None) -> AsyncIterator[AsyncConnection]:
        """The one writing transaction, committed at its end.

        Args:
            what: sort of write that a client waits for, which readiness depends on; None for other writes.

        Raises:
            StoreError: nothing was written, or the next start may not find what was written.
        """
        kept_out = self._kept_out
        try:
            async with self._writing:
                self._look()
                with _translated():
                    if self._kept_out > kept_out:  # while this one waited; it would wait as long once more
                        raise OSError("database is locked")
                    async with self._open_engine().begin() as connection:
                        if self._suspect:
                            await _check_pages(connection)
                            self._suspect = False
                        yield connection
                self._look()  # the next start must find what is acknowledged now
        except StoreError as error:
            self._kept_out += _is_lock(error)
            self._doubts.failed(what, error.message)
            self.refusing = True
            raise
        self._doubts.succeeded(what)

    def _open_engine(self) -> AsyncEngine:
        if self._engine is None:
            raise StoreError("the store is closed")
        return self._engine


def _url(path: Path, mode: Literal["ro", "rw"]) -> URL:
    """The address of a file that exists, which SQLite does not create."""
    database = f"file:{quote(str(path.resolve()))}"
    return URL.create(_DRIVER, database=database, query={"mode": mode, "uri": "true"})


async def _check_pages(connection: AsyncConnection) -> None:
    """Raise StoreError when pages of the file are missing or damaged."""
    await connection.exec_driver_sql("PRAGMA shrink_memory")  # else cached pages would hide the file's
    problem = await connection.scalar(text("PRAGMA quick_check(1)"))
    if problem != "ok":
        raise StoreError(f"the database is damaged: {problem}")


def _probe_row(table: Table) -> tuple[dict[str, Any], ColumnElement[bool]]:
    """A row that no request writes, and the condition by which it alone is found."""
    values: dict[type[Any], Any] = {Text: _PROBE, Float: 0.0, Integer: -1, Boolean: False, LargeBinary: b""}
    row = {column.name: values[type(column.type)] for column in table.columns if not column.nullable}
    if table is tables.decisions:
        row["texts"] = "x" * _PROBE_BYTES
    return row, and_(*(column == row[column.name] for column in table.primary_key.columns))


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
        raise ConfigError.at(
            "data_dir", f"the database is not of this version of laserve: {error}"
        ) from error
