"""The only writer of the event log: it folds entries and commits them in groups."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from laserve.bandit.state.changes import SUBJECTS
from laserve.bandit.state.fold import BanditState
from laserve.errors import CorruptLog, Damaged, LaserveError, StoreError
from laserve.eventlog.learner import Learner
from laserve.metrics import Metrics
from laserve.storage.base import LogWriter, Store
from laserve.storage.batching import GroupCommit
from laserve.types import Event

logger = logging.getLogger(__name__)

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, kw_only=True)
class Written(Generic[R_co]):
    """The result and the events of an entry, once written in a transaction."""

    #: Return value for the entry's submitter.
    result: R_co
    #: Events with their positions, in the order of the log.
    events: tuple[Event, ...] = ()
    #: Counts the entry in the metrics; called when its events are durable and learned.
    observe: Callable[[Metrics], None] = lambda metrics: None


class Entry(ABC, Generic[R_co]):
    """A unit of writing, which is appended to the log as a whole or not at all."""

    @abstractmethod
    async def write(self, log: LogWriter, state: BanditState, now: float) -> Written[R_co]:
        """Append the entry's events, without changing the state: the log's writer folds the events into it.

        Args:
            log: the open transaction.
            state: the fold of all events before the entry, including those of its transaction.
            now: Unix seconds by the store's clock.

        Raises:
            StoreError: the database refused; the transaction ends.
            LaserveError: the entry cannot be written; it has appended no event yet.
        """

    async def abandon(self, log: LogWriter) -> None:
        """Write the consequence of an entry whose events cannot be folded in; by default nothing."""


@dataclass(frozen=True)
class Events(Entry[tuple[Event, ...]]):
    """Plain events, which are appended together; the log sets their positions and their time."""

    events: Sequence[Event]

    async def write(self, log: LogWriter, state: BanditState, now: float) -> Written[tuple[Event, ...]]:
        appended = tuple([await log.append(replace(event, created_at=now)) for event in self.events])
        return Written(result=appended, events=appended)


async def write_entry(log: LogWriter, state: BanditState, entry: Entry[R], now: float) -> Written[R]:
    """Write an entry, and fold its events into the state before the transaction commits.

    Args:
        state: a fork of the learned state, which the learner adopts after the commit.

    Raises:
        CorruptLog: an event cannot be folded in, or the stored decision is damaged, so that no event can be
            made. The state is invalid from then on, and the transaction must not commit.
        LaserveError: see `Entry.write`.
    """
    try:
        written = await entry.write(log, state, now)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise CorruptLog(f"the entry cannot be made an event: {error!r}") from error
    for event in written.events:
        state.apply(event)
    return written


class EventLog:
    """The event log: it appends entries, and learns from the committed events.

    Nothing else appends while the service runs, so the order of commits is the order of the log and of the
    fold. Entries that arrive together are committed together.

    Args:
        snapshot_every: number of events between two snapshots.
    """

    def __init__(self, *, store: Store, learner: Learner, metrics: Metrics, snapshot_every: int) -> None:
        self._store = store
        self._learner = learner
        self._metrics = metrics
        self._snapshot_every = snapshot_every
        self._snapshot_at = 0
        #: Unix seconds of the newest snapshot by the store's clock; None while there is none.
        self._snapshot_time: float | None = None
        #: Position and checksum of the last acknowledged event, by which the log is recognised.
        self._acknowledged = (0, "")
        self._batches: GroupCommit[Entry[Any], Any] = GroupCommit(self._commit)

    async def start(self) -> None:
        snapshot = await self._store.latest_snapshot()
        if snapshot is not None:
            self._snapshot_at, self._snapshot_time = snapshot.position, snapshot.created_at
        async with self._store.writing() as log:
            self._acknowledged = (await log.tip(), await log.checksum(await log.tip()))
        self._publish(self._learner.state)
        self._batches.start()

    async def close(self) -> None:
        """Commit the entries that wait; no further entry is accepted."""
        await self._batches.close()

    def snapshot_age(self) -> float | None:
        """Seconds since the newest snapshot was written, at least 0; None while there is none."""
        return None if self._snapshot_time is None else max(time.time() - self._snapshot_time, 0.0)

    async def submit(self, entry: Entry[R]) -> R:
        """Write an entry; its events are durable and learned when this returns.

        Raises:
            StoreError: the database refused; nothing was appended.
            Damaged: the entry's events cannot be folded in; nothing was appended.
            LaserveError: the entry could not be written; see `Entry.write`.
        """
        result: R = await self._batches.submit(entry)
        return result

    async def append(self, *events: Event) -> None:
        """Append plain events, all or none. Raises StoreError when the database refuses."""
        await self.submit(Events(events))

    async def _commit(self, batch: Sequence[Entry[Any]]) -> Sequence[Any]:
        """The result or the error of each entry."""
        try:
            return await self._write(batch)
        except CorruptLog as error:  # raised before the commit: the log has no event of the batch
            if len(batch) == 1:
                return [await self._refuse(batch[0], error)]
        # Each entry is committed by itself, so that only the one that cannot be folded in fails.
        return [result for entry in batch for result in await self._commit([entry])]

    async def _refuse(self, entry: Entry[Any], error: CorruptLog) -> Damaged:
        """The error of an entry whose events cannot be folded in, after the entry has cleaned up."""
        logger.error("an event was refused, because it cannot be folded in: %s", error.message)
        async with self._store.writing() as log:
            await entry.abandon(log)
        return Damaged(f"nothing was recorded: {error.message}")

    async def _write(self, batch: Sequence[Entry[Any]]) -> Sequence[Any]:
        """Write the entries in one transaction, and fold them into a fork of the state before it commits.

        Raises:
            CorruptLog: an event cannot be folded in; nothing was written.
            StoreError: the database refused; nothing was written.
        """
        results: list[Any] = []
        done: list[Written[Any]] = []
        async with self._store.writing() as log:
            await self._fence(log)
            state, now = self._learner.state.fork(), await log.now()
            for entry in batch:
                try:
                    written = await write_entry(log, state, entry, now)
                except (CorruptLog, StoreError):
                    raise
                except LaserveError as error:
                    results.append(error)
                else:
                    results.append(written.result)
                    done.append(written)
            acknowledged = (state.position, await log.checksum(state.position))
        if events := [event for written in done for event in written.events]:
            self._adopt(state, events, acknowledged)
            for written in done:
                written.observe(self._metrics)
            await self._snapshot(now)
        return results

    async def _fence(self, log: LogWriter) -> None:
        """Bring the state to the end of the log, which other processes may have written to.

        Raises:
            StoreError: the log is not the one that was folded; the store stops.
        """
        position, (acknowledged, checksum) = self._learner.state.position, self._acknowledged
        if await log.checksum(acknowledged) != checksum:
            reason = f"event {acknowledged} of the log is not the one that was acknowledged"
        elif await log.tip() == position:
            return
        else:
            try:
                await self._learner.catch_up(self._store)
            except CorruptLog as error:
                reason = f"the log has events of another process that cannot be folded in: {error.message}"
            else:
                logger.warning(
                    "events %d to %d were written by another process", position + 1, await log.tip()
                )
                return
        self._store.stop(reason)
        await self._store.check()

    def _adopt(self, state: BanditState, events: Sequence[Event], acknowledged: tuple[int, str]) -> None:
        """Replace the learned state by that of the committed log."""
        try:
            self._learner.adopt(state, events)
        except (
            Exception
        ) as error:  # any error: a state that differs from the log must not learn further events
            self._store.stop(f"event {state.position} cannot be learned: {error!r}")
            raise
        self._acknowledged = acknowledged
        self._publish(state)

    def _publish(self, state: BanditState) -> None:
        self._metrics.events_position.set(state.position)
        self._metrics.snapshot_position.publish(self._snapshot_at or None)
        changed = [change.what for change in state.changes.made]
        for what in SUBJECTS:
            self._metrics.changes.labels(what).set(changed.count(what))
        for name, arm in state.arms.items():
            self._metrics.arm_pulls.labels(name).set(arm.pulls)

    async def _snapshot(self, now: float) -> None:
        if self._learner.state.position - self._snapshot_at >= self._snapshot_every:
            try:
                await self._store.add_snapshot(self._learner.snapshot(now))
            except StoreError as error:  # the events are safe without it; the next batch tries again
                logger.warning("no snapshot at %d: %s", self._learner.state.position, error.message)
                return
            self._snapshot_at, self._snapshot_time = self._learner.state.position, now
            self._metrics.snapshot_position.publish(self._snapshot_at)
