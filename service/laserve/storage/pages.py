"""A page of decisions, each with the feedback on it."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from laserve.storage import rows, tables
from laserve.storage.base import Logged, StoredFeedback, Wanted

#: Decisions of one page: a decision may hold megabytes of documents.
SIZE = 32


class DecisionPage:
    """Decisions as they lie in the database; each is decoded when its turn comes.

    Args:
        decisions: rows of decisions, oldest first.
        feedback: id of a decision -> the feedback on it.
    """

    def __init__(
        self, wanted: Wanted, decisions: Sequence[RowMapping], feedback: dict[str, list[StoredFeedback]]
    ) -> None:
        self._wanted = wanted
        self._rows = decisions
        self._feedback = feedback

    @property
    def more(self) -> bool:
        """Whether there may be another page behind this one."""
        return len(self._rows) == SIZE

    @property
    def end(self) -> tuple[float, str]:
        """Time and id of the last decision."""
        last = self._rows[-1]
        return last["created_at"], last["id"]

    def __iter__(self) -> Iterator[Logged]:
        for row in self._rows:
            decision = rows.decision_from(row)
            if self._wanted.task in (None, decision.task):
                yield Logged(decision=decision, feedback=tuple(self._feedback[decision.id]))


async def decision_page(
    connection: AsyncConnection, wanted: Wanted, *, behind: tuple[float, str] | None
) -> DecisionPage:
    """The first page, or the one behind the end of another."""
    decisions = (await connection.execute(page_query(wanted, behind=behind))).mappings().all()
    said = tables.feedback.c
    words = (
        select(tables.feedback)
        .where(said.decision_id.in_([row["id"] for row in decisions]))
        .order_by(said.position)
    )
    feedback: dict[str, list[StoredFeedback]] = defaultdict(list)
    for row in (await connection.execute(words)).mappings():
        feedback[row["decision_id"]].append(rows.feedback_from(row))
    return DecisionPage(wanted, decisions, feedback)


def page_query(wanted: Wanted, *, behind: tuple[float, str] | None) -> Select[Any]:
    columns = tables.decisions.c
    query = select(tables.decisions).where(*_conditions(wanted))
    if behind is not None:
        query = query.where(tuple_(columns.created_at, columns.id) > tuple_(*behind))
    return query.order_by(columns.created_at, columns.id).limit(SIZE)


def _conditions(wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    columns = tables.decisions.c
    if wanted.since is not None:
        yield columns.created_at >= wanted.since
    if wanted.task is not None:
        # SQLite's LIKE knows no case; the page itself looks again.
        yield columns.record.contains(f'"task":{rows.dumps(wanted.task)}', autoescape=True)
    if wanted.with_feedback:
        yield select(tables.feedback).where(tables.feedback.c.decision_id == columns.id).exists()
