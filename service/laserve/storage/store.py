"""The store over SQLAlchemy Core, on SQLite."""

import asyncio
import hashlib
import logging
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

from sqlalchemy import delete, func, insert, select, update

from laserve.errors import CorruptLog, Damaged
from laserve.storage import rows, tables
from laserve.storage.base import Logged, LogWriter, Snapshot, Space, StoredFeedback, Wanted
from laserve.storage.log_id import LogId
from laserve.storage.log_writer import CLOCK, SqlLogWriter, find_decision
from laserve.storage.pages import DecisionPage, decision_page
from laserve.storage.sqlite import BUSY_TIMEOUT_S, Database
from laserve.types import Decision, Event

logger = logging.getLogger(__name__)

_PAGE = 1000
#: Snapshots kept; the older ones are there in case the newest is torn.
_SNAPSHOTS = 3


class SqlStore:
    """Decisions, feedback, events and snapshots in one SQLite file; arguments as of `Database`."""

    def __init__(
        self,
        path: Path | None,
        *,
        read_only: bool = False,
        max_bytes: int | None = None,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
    ) -> None:
        self._database = Database(
            path, read_only=read_only, max_bytes=max_bytes, busy_timeout_s=busy_timeout_s
        )
        self._read_only = read_only
        #: Whether its file stays when it is closed.
        self._lasting = path is not None
        self._id: LogId | None = None

    @property
    def path(self) -> Path | None:
        """The file; of a temporary one, None until it is open."""
        return self._database.path

    @property
    def refusing(self) -> bool:
        return self._database.refusing

    async def open(self) -> None:
        await self._database.open()
        async with self._database.reading() as connection:
            columns = tables.events.c
            query = select(columns.position, columns.checksum).order_by(columns.position).limit(1)
            first = (await connection.execute(query)).one_or_none()
        assert self.path is not None  # noqa: S101 - it is open
        self._id = LogId(self.path, read_only=self._read_only)
        if first is None or first.position == 1:  # else its beginning is missing, which who reads it will say
            self._id.agree(None if first is None else first.checksum)
        if first is None and self._lasting and not self._read_only:
            logger.warning("%s holds no log: a new one begins when the service is ready", self.path)

    async def close(self) -> None:
        await self._database.close()

    def stop(self, reason: str) -> None:
        self._database.stop(reason)

    async def check(self) -> None:
        await self._database.check()

    async def space(self) -> Space | None:
        if self.path is None or not self._lasting:
            return None
        try:
            return await asyncio.to_thread(_space, self.path)
        except OSError:  # the folder has gone, say; then there is nothing to measure
            return None

    async def add_decisions(self, decisions: Sequence[Decision]) -> None:
        async with self._database.transaction("decisions") as connection:
            values = [rows.decision_row(decision) for decision in decisions]
            await connection.execute(insert(tables.decisions), values)

    async def add_scores(
        self,
        decision_id: str,
        *,
        choices: Mapping[str, int],
        scores: Mapping[str, Sequence[float | None]],
    ) -> None:
        async with self._database.transaction() as connection:
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
        async with self._database.reading() as connection:
            return await find_decision(connection, decision_id)

    async def decisions(self, wanted: Wanted) -> AsyncGenerator[Logged]:
        page: DecisionPage | None = None
        while page is None or page.more:
            async with self._database.reading() as connection:
                page = await decision_page(connection, wanted, behind=page.end if page else None)
            for logged in page:
                yield logged

    async def erase(self, decision_id: str, now: float) -> None:
        async with self._database.transaction() as connection:
            with suppress(Damaged):  # whatever else is stored of it, its texts can be removed
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
        await self._database.scrub()

    async def expire_texts(self, before: float) -> int:
        async with self._database.transaction() as connection:
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
        if result.rowcount or self._database.unscrubbed:
            await self._database.scrub()
        return result.rowcount

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[LogWriter]:
        async with self._database.transaction("events") as connection:
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
            log = SqlLogWriter(connection)
            yield log
            first = None if self._id is None or self._id.kept else await log.checksum(1)
        if self._id is not None and first:
            self._id.keep(first)

    async def events(self, after: int = 0) -> AsyncIterator[Event]:
        previous = ""
        if after:
            async with self._database.reading() as connection:
                query = select(tables.events.c.checksum).where(tables.events.c.position == after)
                checksum = await connection.scalar(query)
            if checksum is None:
                raise CorruptLog(f"the log has no event {after}")
            previous = checksum
        while True:
            async with self._database.reading() as connection:
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
        async with self._database.reading() as connection:
            result = await connection.execute(query)
            return [rows.feedback_from(row) for row in result.mappings()]

    async def due(self, limit: int) -> Sequence[str]:
        columns = tables.decisions.c
        query = select(columns.id).where(columns.due_at < CLOCK).order_by(columns.due_at).limit(limit)
        async with self._database.reading() as connection:
            return (await connection.scalars(query)).all()

    async def pending(self) -> int:
        query = select(func.count()).where(tables.decisions.c.due_at.is_not(None))
        async with self._database.reading() as connection:
            return await connection.scalar(query) or 0

    async def latest_snapshot(self) -> Snapshot | None:
        async with self._database.reading() as connection:
            positions = select(tables.snapshots.c.position).order_by(tables.snapshots.c.position.desc())
            for position in (await connection.scalars(positions)).all():
                query = select(tables.snapshots).where(tables.snapshots.c.position == position)
                row = (await connection.execute(query)).mappings().one()
                if row["checksum"] == hashlib.sha256(row["payload"]).hexdigest():
                    return Snapshot(**{name: row[name] for name in Snapshot.__dataclass_fields__})
        return None

    async def add_snapshot(self, snapshot: Snapshot) -> None:
        async with self._database.transaction() as connection:
            checksum = hashlib.sha256(snapshot.payload).hexdigest()
            statement = insert(tables.snapshots).prefix_with("OR REPLACE")
            await connection.execute(statement, vars(snapshot) | {"checksum": checksum})
            kept = (
                select(tables.snapshots.c.position)
                .order_by(tables.snapshots.c.position.desc())
                .limit(_SNAPSHOTS)
            )
            await connection.execute(delete(tables.snapshots).where(tables.snapshots.c.position.not_in(kept)))


def _space(path: Path) -> Space:
    """Space of a database. Raises OSError when its file system cannot be looked at."""
    paths = {"database": path, "wal": path.with_name(f"{path.name}-wal")}
    files = {name: file.stat().st_size for name, file in paths.items() if file.exists()}
    return Space(files=files, free=shutil.disk_usage(path.parent).free)
