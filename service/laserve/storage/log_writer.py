"""One transaction on the log, over SQLAlchemy Core."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Float, Select, bindparam, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from laserve.errors import Damaged, Gone, NotFound
from laserve.storage import rows, tables
from laserve.storage.base import Earlier, StoredFeedback, default_identity
from laserve.types import Decision, Event

#: The store's clock in Unix seconds, to a millisecond: SQLite's is the one of the machine.
CLOCK = (func.julianday("now", type_=Float) - 2440587.5) * 86400.0


def _earlier() -> Select[Any]:
    """One row in every case: whether there is feedback on a decision, and a feedback's columns or nulls."""
    same, other = tables.feedback, tables.feedback.alias()
    theirs = (other.c.decision_id == bindparam("decision_id")) & (other.c.identity != bindparam("default"))
    one = select(exists().where(theirs).label("answered")).subquery()
    equal = (same.c.key == bindparam("key")) & (same.c.identity == bindparam("identity"))
    return select(one.c.answered, *same.c).select_from(one.outerjoin(same, equal))


#: Built once, and both in one query: to build a query, or to make another, costs more than to run it.
_EARLIER = _earlier()


class SqlLogWriter:
    """See `LogWriter`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        #: Position and checksum of the last event, once they have been read.
        self._last: tuple[int, str] | None = None

    async def now(self) -> float:
        return float((await self._connection.execute(select(CLOCK))).scalar_one())

    async def tip(self) -> int:
        return (await self._end())[0]

    async def checksum(self, position: int) -> str:
        if position == (last := await self._end())[0]:
            return last[1]
        columns = tables.events.c
        query = select(columns.checksum).where(columns.position == position)
        return await self._connection.scalar(query) or ""

    async def feedback(self, key: str, identity: str) -> StoredFeedback | None:
        columns = tables.feedback.c
        query = select(tables.feedback).where(columns.key == key, columns.identity == identity)
        row = (await self._connection.execute(query)).mappings().one_or_none()
        return None if row is None else rows.feedback_from(row)

    async def earlier(self, key: str, identity: str, decision_id: str) -> Earlier:
        default = default_identity(decision_id)
        values = {"key": key, "identity": identity, "decision_id": decision_id, "default": default}
        row = (await self._connection.execute(_EARLIER, values)).mappings().one()
        stored = None if row["identity"] is None else rows.feedback_from(row)
        return Earlier(same=stored, answered=bool(row["answered"]))

    async def decision(self, decision_id: str) -> Decision:
        return await find_decision(self._connection, decision_id)

    async def taught(self, decision_id: str) -> Event | None:
        query = (
            select(tables.events)
            .where(tables.events.c.decision_id == decision_id)
            .order_by(tables.events.c.position.desc())
        )
        for row in (await self._connection.execute(query)).mappings():
            if (event := rows.event_from(row)).updates:
                return event
        return None

    async def append(self, event: Event) -> Event:
        position, previous = await self._end()
        placed = replace(event, position=position + 1)
        row = rows.event_row(placed, previous)
        await self._connection.execute(insert(tables.events), row)
        self._last = placed.position, row["checksum"]
        return placed

    async def _end(self) -> tuple[int, str]:
        if self._last is None:
            columns = tables.events.c
            query = select(columns.position, columns.checksum).order_by(columns.position.desc()).limit(1)
            last = (await self._connection.execute(query)).one_or_none()
            self._last = (0, "") if last is None else (last.position, last.checksum)
        return self._last

    async def add_feedback(self, feedback: StoredFeedback) -> None:
        await self._connection.execute(insert(tables.feedback), rows.feedback_row(feedback))

    async def settle(self, decision_id: str) -> None:
        columns = tables.decisions.c
        await self._connection.execute(
            update(tables.decisions).where(columns.id == decision_id).values(due_at=None)
        )


async def find_decision(connection: AsyncConnection, decision_id: str) -> Decision:
    """Raises NotFound, Gone or Damaged."""
    query = select(tables.decisions).where(tables.decisions.c.id == decision_id)
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"decision_id: no decision {decision_id!r}", param="decision_id")
    if row["deleted_at"] is not None:
        raise Gone(f"decision_id: decision {decision_id!r} was deleted", param="decision_id")
    try:
        return rows.decision_from(row)
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(f"decision {decision_id!r} cannot be read: its row is damaged: {error!r}") from error
