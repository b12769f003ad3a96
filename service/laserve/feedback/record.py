"""One feedback top to bottom: known decision, new identity, resolved rewards, on disk, learned."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from laserve.bandit.state.blending import Lesson
from laserve.bandit.state.changes import SUBJECTS
from laserve.bandit.state.fold import BanditState
from laserve.errors import Conflict, CorruptLog, Damaged, Gone, InvalidRequest, LaserveError, StoreError
from laserve.eventlog.learner import Learner
from laserve.feedback.entries import (
    Lapse,
    Resolution,
    append_default,
    append_feedback,
    find_known,
    outcome_of,
)
from laserve.feedback.rewards import UNIT, Resolved, RewardRange, resolve
from laserve.metrics import Metrics
from laserve.storage.base import LogWriter, Store
from laserve.storage.batching import GroupCommit
from laserve.types import DEFAULT, Decision, Event, Feedback, FeedbackOutcome, task_label

logger = logging.getLogger(__name__)

#: Events that are appended together.
Events = tuple[Event, ...]


class FeedbackLog:
    """Appends feedback to the event log and folds what was committed.

    Feedback that arrives together is committed together, and so are the defaults that fall due and what
    becomes of arms. It is the only one that appends while the service runs, so the order of commits is the
    order of the log and of the fold.

    Args:
        snapshot_every: events between two snapshots.
        learn_from: the kind that teaches, where the log has not settled it yet; None for the first to come.
        settled: waits for scores of a decision that are still outstanding.
        alone: whether an arm's scores are its own, not made of the others'.
        reward_range: what rewards may be, and stand for.
    """

    def __init__(
        self,
        *,
        store: Store,
        learner: Learner,
        metrics: Metrics,
        snapshot_every: int,
        learn_from: str | None = None,
        settled: Callable[[str], Awaitable[None]] | None = None,
        alone: Callable[[str], bool] = lambda name: True,
        reward_range: RewardRange = UNIT,
    ) -> None:
        self._store = store
        self._learner = learner
        self._metrics = metrics
        self._snapshot_every = snapshot_every
        self._learn_from = learn_from
        self._settled = settled
        self._alone = alone
        self._reward_range = reward_range
        self._snapshot_at = 0
        #: Position and checksum of an event that was acknowledged, by which the log is known again.
        self._known = (0, "")
        self._batches: GroupCommit[Resolution | Lapse | Events, FeedbackOutcome | Events] = GroupCommit(
            self._commit
        )

    async def start(self) -> None:
        snapshot = await self._store.latest_snapshot()
        self._snapshot_at = snapshot.position if snapshot else 0
        async with self._store.writing() as log:
            self._known = (await log.tip(), await log.checksum(await log.tip()))
        self._publish(self._learner.state)
        self._batches.start()

    async def close(self) -> None:
        await self._batches.close()

    async def record(self, feedback: Feedback) -> FeedbackOutcome:
        """Acknowledge a feedback once it is durable.

        Raises:
            NotFound: the decision is unknown.
            Gone: the decision was deleted.
            Conflict: the same identity came before with another body.
            InvalidRequest: the value does not fit the decision.
            StoreError: the database refused; nothing was recorded.
        """
        return await self._submit(await self._resolve(feedback))

    async def lapse(self, decision_id: str) -> None:
        """Learn the default reward of a decision, unless feedback has taught or the decision was deleted.

        Raises:
            StoreError: the database refused; nothing was recorded.
        """
        try:
            await self._batches.submit(Lapse(decision_id=decision_id))
        except Damaged as error:
            logger.warning("no default reward is learned: %s", error.message)
        except (Conflict, Gone):
            pass

    async def append(self, *events: Event) -> None:
        """Append events that are not feedback, all or none; once this returns they are durable and folded.

        Args:
            events: their positions and time are given by the log.

        Raises:
            StoreError: the database refused; nothing was appended.
        """
        await self._batches.submit(events)

    async def record_all(self, batch: Sequence[Feedback]) -> list[FeedbackOutcome | LaserveError]:
        """Acknowledge many, in their order; an error stands in its place and does not stop the others."""
        ready: list[Resolution | LaserveError] = []
        for feedback in batch:
            try:
                ready.append(await self._resolve(feedback))
            except LaserveError as error:
                ready.append(error)
        waiting = [
            asyncio.ensure_future(self._submit(item)) for item in ready if isinstance(item, Resolution)
        ]
        outcomes = iter(await asyncio.gather(*waiting, return_exceptions=True))
        results: list[FeedbackOutcome | LaserveError] = []
        for item in ready:
            result = item if isinstance(item, LaserveError) else next(outcomes)
            if not isinstance(result, FeedbackOutcome | LaserveError):
                raise result
            results.append(result)
        return results

    async def _resolve(self, feedback: Feedback) -> Resolution:
        """Look the decision up and resolve, before the log is opened.

        Measuring long texts would hold the log, and the event loop, for long.
        """
        if self._settled is not None:
            await self._settled(feedback.decision_id)
        decision = await self._store.decision(feedback.decision_id)
        resolved: Resolved | InvalidRequest
        lesson: Lesson | None = None
        try:
            if feedback.kind == "references":
                resolved = await asyncio.to_thread(resolve, feedback, decision)
            else:
                resolved = resolve(feedback, decision, self._reward_range)
            if resolved.qualities is not None:
                scores = {arm: each for arm, each in decision.scores.items() if self._alone(arm)}
                task = task_label(decision.task, self._learner.tasks)
                lesson = Lesson.of(task, scores, resolved.qualities)
        except InvalidRequest as error:
            resolved = error
        return Resolution(
            feedback=feedback,
            decision=decision,
            resolved=resolved,
            lesson=lesson,
            reward_range=self._reward_range,
        )

    async def _submit(self, item: Resolution) -> FeedbackOutcome:
        kind = item.feedback.kind
        try:
            outcome = await self._batches.submit(item)
        except Conflict:
            self._metrics.feedback.labels(kind, "conflict").inc()
            raise
        if not isinstance(outcome, FeedbackOutcome):
            raise TypeError(f"feedback was answered by {outcome!r}")
        self._metrics.feedback.labels(kind, outcome.status).inc()
        return outcome

    async def _commit(
        self, batch: Sequence[Resolution | Lapse | Events]
    ) -> Sequence[FeedbackOutcome | Events | LaserveError]:
        try:
            return await self._write(batch)
        except CorruptLog as error:  # raised before the commit: nothing of the batch is in the log
            if len(batch) == 1:
                return [await self._refuse(batch[0], error)]
        # Each by itself, so that the one that cannot be folded in costs nobody else his answer.
        return [result for item in batch for result in await self._commit([item])]

    async def _refuse(self, item: Resolution | Lapse | Events, error: CorruptLog) -> Damaged:
        """The answer to an item of which no event can be made that the log could be replayed with."""
        logger.error("an event is refused, since it cannot be folded in: %s", error.message)
        if isinstance(item, Lapse):  # or it would be due again at once, for ever
            async with self._store.writing() as log:
                await log.settle(item.decision_id)
        return Damaged(f"nothing was recorded: {error.message}")

    async def _write(
        self, batch: Sequence[Resolution | Lapse | Events]
    ) -> Sequence[FeedbackOutcome | Events | LaserveError]:
        """Append what the items say, and fold it into a fork of the state before it is committed.

        Raises:
            CorruptLog: something cannot be folded in; nothing was written.
            StoreError: the database refused; nothing was written.
        """
        results: list[FeedbackOutcome | Events | LaserveError] = []
        appended: list[tuple[Event, Decision | None]] = []
        async with self._store.writing() as log:
            await self._fence(log)
            state, now = self._learner.state.fork(), await log.now()
            for item in batch:
                try:
                    result, events, about = await self._append(log, item, state, now)
                except (CorruptLog, StoreError):
                    raise
                except LaserveError as error:
                    results.append(error)
                    continue
                for event in events:
                    state.apply(event)
                results.append(result)
                appended += [(event, about) for event in events]
            known = (state.position, await log.checksum(state.position))
        if appended:
            self._adopt(state, [event for event, _ in appended], known)
            for event, about in appended:
                if about is not None:
                    self._observe(event, about, now)
            await self._snapshot(now)
        return results

    async def _append(
        self, log: LogWriter, item: Resolution | Lapse | Events, state: BanditState, now: float
    ) -> tuple[FeedbackOutcome | Events, Events, Decision | None]:
        """What the item is answered, the events that it has become, and the decision that they are about.

        Raises:
            CorruptLog: what is stored of its decision cannot be made an event.
        """
        try:
            return await self._appended(log, item, state, now)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise CorruptLog(f"no event can be made of it: {error!r}") from error

    async def _appended(
        self, log: LogWriter, item: Resolution | Lapse | Events, state: BanditState, now: float
    ) -> tuple[FeedbackOutcome | Events, Events, Decision | None]:
        if isinstance(item, tuple):
            placed = tuple([await log.append(replace(event, created_at=now)) for event in item])
            return placed, placed, None
        rewards = state.rewards if state.scales_rewards else None
        if isinstance(item, Lapse):
            event, decision = await append_default(
                log, item.decision_id, decisions=state.decisions, rewards=rewards, now=now
            )
        elif (known := await find_known(log, item.feedback)) is not None:
            return known, (), None
        else:
            decision = item.decision
            event = await append_feedback(
                log,
                item,
                decisions=state.decisions,
                learn_from=state.learn_from or self._learn_from,
                rewards=rewards,
                now=now,
            )
        return outcome_of(event), (event,), decision

    async def _fence(self, log: LogWriter) -> None:
        """Make sure that the state is that of the log's end, whoever else has written to it.

        Raises:
            StoreError: the log is not the one that was folded; the store stops.
        """
        position, (known, checksum) = self._learner.state.position, self._known
        if await log.checksum(known) != checksum:
            reason = f"event {known} of the log is not the one that was acknowledged"
        elif await log.tip() == position:
            return
        else:
            try:
                await self._learner.catch_up(self._store)
            except CorruptLog as error:
                reason = f"the log has events of another process that do not follow: {error.message}"
            else:
                logger.warning("events %d to %d are another process's", position + 1, await log.tip())
                return
        self._store.stop(reason)
        await self._store.check()

    def _adopt(self, state: BanditState, events: Sequence[Event], known: tuple[int, str]) -> None:
        """Go on from what is committed now."""
        try:
            self._learner.adopt(state, events)
        except Exception as error:  # whatever it is: a state that is not the log's must not be added to
            self._store.stop(f"event {state.position} cannot be learned: {error!r}")
            raise
        self._known = known
        self._publish(state)

    def _observe(self, event: Event, decision: Decision, now: float) -> None:
        if event.body["kind"] == DEFAULT:  # nobody's word on the answer
            self._metrics.feedback.labels(DEFAULT, "recorded").inc()
            return
        self._metrics.feedback_delay.observe(max(now - decision.created_at, 0.0))
        if decision.scored_by is not None:
            self._metrics.reward.labels(decision.scored_by).observe(event.body["reward"])

    def _publish(self, state: BanditState) -> None:
        self._metrics.events_position.set(state.position)
        self._metrics.snapshot_position.set(self._snapshot_at)
        noted = [change.what for change in state.changes.made]
        for what in SUBJECTS:
            self._metrics.changes.labels(what).set(noted.count(what))
        for name, arm in state.arms.items():
            self._metrics.arm_pulls.labels(name).set(arm.pulls)

    async def _snapshot(self, now: float) -> None:
        if self._learner.state.position - self._snapshot_at >= self._snapshot_every:
            try:
                await self._store.add_snapshot(self._learner.snapshot(now))
            except StoreError as error:  # the events are safe without it; the next batch tries again
                logger.warning("no snapshot at %d: %s", self._learner.state.position, error.message)
                return
            self._snapshot_at = self._learner.state.position
            self._metrics.snapshot_position.set(self._snapshot_at)
