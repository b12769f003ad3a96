"""The store over SQLAlchemy Core, on SQLite."""

import asyncio
import hashlib
import logging
import sqlite3
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import FileLock, Timeout
from sqlalchemy import URL, Connection, delete, event, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from laserve.errors import ConfigError, CorruptLog, StoreError
from laserve.storage import rows, tables
from laserve.storage.base import Logged, LogWriter, Snapshot, StoredFeedback, Wanted
from laserve.storage.log_writer import CLOCK, SqlLogWriter, find_decision
from laserve.storage.pages import DecisionPage, decision_page
from laserve.types import Decision, Event

logger = logging.getLogger(__name__)

_DRIVER = "sqlite+aiosqlite"
#: `secure_delete` overwrites what is deleted, since deleted texts must not be found in the file.
_READING = ("busy_timeout = 5000",)
_WRITING = ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON")
_PAGE = 1000
#: What a database that refused a write must take before it is trusted again: more than a decision.
_PROBE_BYTES = 256 * 1024
#: Snapshots kept; the older ones are there in case the newest is torn.
_SNAPSHOTS = 3


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what the driver raises into a StoreError."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        reason = getattr(error, "orig", None) or error
        raise StoreError(f"the database refused: {reason}") from error


class SqlStore:
    """Decisions, feedback, events and snapshots in one SQLite file.

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
        self._unscrubbed = False
        #: Writes that another process's lock has kept out.
        self._kept_out = 0

    async def open(self) -> None:
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
            async with self._transaction() as connection:
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
        if not self.refusing:
            async with self._reading() as connection:
                await connection.execute(select(1))
            return
        if self._probe is None or self._probe.done():  # one for all who ask: a locked database lets each wait
            self._probe = asyncio.ensure_future(self._write_something())
            self._probe.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(self._probe)

    async def _write_something(self) -> None:
        async with self._transaction() as connection:
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
            await connection.exec_driver_sql("CREATE TABLE probe (filler BLOB)")
            await connection.exec_driver_sql("INSERT INTO probe VALUES (zeroblob(?))", (_PROBE_BYTES,))
            await connection.exec_driver_sql("DROP TABLE probe")
        self.refusing = False

    async def add_decisions(self, decisions: Sequence[Decision]) -> None:
        async with self._transaction() as connection:
            values = [rows.decision_row(decision) for decision in decisions]
            await connection.execute(insert(tables.decisions), values)

    async def add_scores(
        self,
        decision_id: str,
        *,
        choices: Mapping[str, int],
        scores: Mapping[str, Sequence[float | None]],
    ) -> None:
        async with self._transaction() as connection:
            decision = await find_decision(connection, decision_id)
            more = replace(
                decision,
                choices={**decision.choices, **choices},
                scores={**decision.scores, **{arm: tuple(values) for arm, values in scores.items()}},
            )
            table = tables.decisions
            record = rows.decision_row(more)["record"]
            await connection.execute(update(table).where(table.c.id == decision_id).values(record=record))

    async def decision(self, decision_id: str) -> Decision:
        async with self._reading() as connection:
            return await find_decision(connection, decision_id)

    async def decisions(self, wanted: Wanted) -> AsyncGenerator[Logged]:
        page: DecisionPage | None = None
        while page is None or page.more:
            async with self._reading() as connection:
                page = await decision_page(connection, wanted, behind=page.end if page else None)
            for logged in page:
                yield logged

    async def erase(self, decision_id: str, now: float) -> None:
        async with self._transaction() as connection:
            await find_decision(connection, decision_id)
            decisions, feedback = tables.decisions, tables.feedback
            await connection.execute(
                update(decisions)
                .where(decisions.c.id == decision_id)
                .values(texts=None, deleted_at=now, due_at=None)
            )
            await connection.execute(
                update(feedback).where(feedback.c.decision_id == decision_id).values(body=None, digest=None)
            )
        await self._scrub()

    async def expire_texts(self, before: float) -> int:
        async with self._transaction() as connection:
            decisions, feedback = tables.decisions, tables.feedback
            old = select(decisions.c.id).where(
                decisions.c.created_at < before, decisions.c.texts.is_not(None)
            )
            await connection.execute(
                update(feedback)
                .where(feedback.c.decision_id.in_(old), feedback.c.body.contains('"references":'))
                .values(
                    digest=None
                )  # the others' digests hold no text, and still tell a repeat from a conflict
            )
            await connection.execute(
                update(feedback).where(feedback.c.decision_id.in_(old)).values(body=None)
            )
            result = await connection.execute(
                update(decisions).where(decisions.c.id.in_(old)).values(texts=None)
            )
        if result.rowcount or self._unscrubbed:
            await self._scrub()
        return result.rowcount

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[LogWriter]:
        async with self._transaction() as connection:
            yield SqlLogWriter(connection)

    async def events(self, after: int = 0) -> AsyncIterator[Event]:
        previous = ""
        if after:
            async with self._reading() as connection:
                query = select(tables.events.c.checksum).where(tables.events.c.position == after)
                found = await connection.scalar(query)
            if found is None:
                raise CorruptLog(f"the log has no event {after}")
            previous = found
        while True:
            async with self._reading() as connection:
                query = (
                    select(tables.events)
                    .where(tables.events.c.position > after)
                    .order_by(tables.events.c.position)
                    .limit(_PAGE)
                )
                page = (await connection.execute(query)).mappings().all()
            for row in page:
                if row["position"] != after + 1:
                    raise CorruptLog(f"event {after + 1} is missing")
                if not rows.intact(row, previous):
                    raise CorruptLog(f"event {row['position']} was altered: its checksum does not match")
                after, previous = row["position"], row["checksum"]
                yield rows.event_from(row)
            if len(page) < _PAGE:
                return

    async def feedback_rows(self, decision_id: str | None = None) -> Sequence[StoredFeedback]:
        query = select(tables.feedback).order_by(tables.feedback.c.position)
        if decision_id is not None:
            query = query.where(tables.feedback.c.decision_id == decision_id)
        async with self._reading() as connection:
            result = await connection.execute(query)
            return [rows.feedback_from(row) for row in result.mappings()]

    async def due(self, limit: int) -> Sequence[str]:
        columns = tables.decisions.c
        query = select(columns.id).where(columns.due_at < CLOCK).order_by(columns.due_at).limit(limit)
        async with self._reading() as connection:
            return (await connection.scalars(query)).all()

    async def pending(self) -> int:
        query = select(func.count()).where(tables.decisions.c.due_at.is_not(None))
        async with self._reading() as connection:
            return await connection.scalar(query) or 0

    async def latest_snapshot(self) -> Snapshot | None:
        async with self._reading() as connection:
            positions = select(tables.snapshots.c.position).order_by(tables.snapshots.c.position.desc())
            for position in (await connection.scalars(positions)).all():
                query = select(tables.snapshots).where(tables.snapshots.c.position == position)
                row = (await connection.execute(query)).mappings().one()
                if row["checksum"] == hashlib.sha256(row["payload"]).hexdigest():
                    return Snapshot(**{name: row[name] for name in Snapshot.__dataclass_fields__})
        return None

    async def add_snapshot(self, snapshot: Snapshot) -> None:
        async with self._transaction() as connection:
            checksum = hashlib.sha256(snapshot.payload).hexdigest()
            statement = insert(tables.snapshots).prefix_with("OR REPLACE")
            await connection.execute(statement, vars(snapshot) | {"checksum": checksum})
            kept = (
                select(tables.snapshots.c.position)
                .order_by(tables.snapshots.c.position.desc())
                .limit(_SNAPSHOTS)
            )
            await connection.execute(delete(tables.snapshots).where(tables.snapshots.c.position.not_in(kept)))

    async def _scrub(self) -> None:
        """Empty the write-ahead log, which still holds the pages as they were before a text was removed.

        A reader may hold it; then the next call tries again, and `expire_texts` makes one every hour.
        """
        self._unscrubbed = True
        async with self._writing, self._reading() as connection:
            await connection.exec_driver_sql("PRAGMA busy_timeout = 100")
            try:
                row = (await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")).one()
                self._unscrubbed = bool(row[0])
            except SQLAlchemyError as error:  # a full disk, say; the texts are removed all the same
                logger.warning("removed texts are still in the write-ahead log: %s", error.__cause__)
            finally:
                await connection.exec_driver_sql(f"PRAGMA {_READING[0]}")

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        with _translated():
            async with self._open_engine().connect() as connection:
                yield connection

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AsyncConnection]:
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
