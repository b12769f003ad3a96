"""One feedback top to bottom: known decision, new identity, resolved rewards, on disk, learned."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from laserve.bandit.state import BanditState
from laserve.errors import Conflict, InvalidRequest, LaserveError, StoreError
from laserve.metrics import Metrics
from laserve.selection.learner import Learner
from laserve.selection.rewards import Resolved, resolve
from laserve.storage.base import LogWriter, Store, StoredFeedback
from laserve.storage.batching import GroupCommit
from laserve.storage.rows import dumps
from laserve.types import Decision, Event, Feedback, FeedbackOutcome

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Resolution:
    """A feedback on its way into the log."""

    feedback: Feedback
    decision: Decision
    #: What it says of the arms, or why it cannot; a repeat is answered all the same.
    resolved: Resolved | InvalidRequest


class FeedbackLog:
    """Appends feedback to the event log and folds what was committed.

    Feedback that arrives together is committed together. It is the only one that appends while the service
    runs, so the order of commits is the order of the log and of the fold.

    Args:
        snapshot_every: events between two snapshots.
        learn_from: the kind that teaches, where the log has not settled it yet; None for the first to come.
    """

    def __init__(
        self,
        *,
        store: Store,
        learner: Learner,
        metrics: Metrics,
        snapshot_every: int,
        learn_from: str | None = None,
    ) -> None:
        self._store = store
        self._learner = learner
        self._metrics = metrics
        self._snapshot_every = snapshot_every
        self._learn_from = learn_from
        self._snapshot_at = 0
        self._batches: GroupCommit[_Resolution, FeedbackOutcome] = GroupCommit(self._commit)

    async def start(self) -> None:
        snapshot = await self._store.latest_snapshot()
        self._snapshot_at = snapshot.position if snapshot else 0
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

    async def record_all(self, batch: Sequence[Feedback]) -> list[FeedbackOutcome | LaserveError]:
        """Acknowledge many, in their order; an error stands in its place and does not stop the others."""
        ready: list[_Resolution | LaserveError] = []
        for feedback in batch:
            try:
                ready.append(await self._resolve(feedback))
            except LaserveError as error:
                ready.append(error)
        waiting = [
            asyncio.ensure_future(self._submit(item)) for item in ready if isinstance(item, _Resolution)
        ]
        outcomes = iter(await asyncio.gather(*waiting, return_exceptions=True))
        results: list[FeedbackOutcome | LaserveError] = []
        for item in ready:
            result = item if isinstance(item, LaserveError) else next(outcomes)
            if not isinstance(result, FeedbackOutcome | LaserveError):
                raise result
            results.append(result)
        return results

    async def _resolve(self, feedback: Feedback) -> _Resolution:
        """Look the decision up and resolve, before the log is opened.

        Measuring long texts would hold the log, and the event loop, for long.
        """
        decision = await self._store.decision(feedback.decision_id)
        resolved: Resolved | InvalidRequest
        try:
            if feedback.kind == "references":
                resolved = await asyncio.to_thread(resolve, feedback, decision)
            else:
                resolved = resolve(feedback, decision)
        except InvalidRequest as error:
            resolved = error
        return _Resolution(feedback=feedback, decision=decision, resolved=resolved)

    async def _submit(self, item: _Resolution) -> FeedbackOutcome:
        kind = item.feedback.kind
        try:
            outcome = await self._batches.submit(item)
        except Conflict:
            self._metrics.feedback.labels(kind, "conflict").inc()
            raise
        self._metrics.feedback.labels(kind, outcome.status).inc()
        return outcome

    async def _commit(self, batch: Sequence[_Resolution]) -> Sequence[FeedbackOutcome | LaserveError]:
        results: list[FeedbackOutcome | LaserveError] = []
        appended: list[tuple[Event, Decision]] = []
        now = time.time()
        learn_from = self._learner.state.learn_from or self._learn_from
        async with self._store.writing() as log:
            for item in batch:
                try:
                    if (known := await _known(log, item.feedback)) is not None:
                        results.append(known)
                        continue
                    event = await _append(log, item, learn_from, now)
                except LaserveError as error:
                    if error.status >= 500:  # the store itself: the whole batch is rolled back
                        raise
                    results.append(error)
                    continue
                learn_from = learn_from or (item.feedback.kind if event.updates else None)
                appended.append((event, item.decision))
                results.append(_outcome(event))
        for event, decision in appended:
            self._learner.apply([event])
            self._observe(event, decision, now)
        if appended:
            self._publish(self._learner.state)
            await self._snapshot(now)
        return results

    def _observe(self, event: Event, decision: Decision, now: float) -> None:
        self._metrics.feedback_delay.observe(max(now - decision.created_at, 0.0))
        if decision.scored_by is not None:
            self._metrics.reward.labels(decision.scored_by).observe(event.body["reward"])

    def _publish(self, state: BanditState) -> None:
        self._metrics.events_position.set(state.position)
        self._metrics.snapshot_position.set(self._snapshot_at)
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


async def _known(log: LogWriter, feedback: Feedback) -> FeedbackOutcome | None:
    """The outcome of the same feedback, if it came before. Raises Conflict when its body differs."""
    stored = await log.feedback(feedback.key, feedback.identity)
    if stored is None:
        return None
    if stored.decision_id != feedback.decision_id:
        raise Conflict(
            "Idempotency-Key: came before with feedback on another decision",
            stored=stored.body,
            param="Idempotency-Key",
        )
    if stored.digest is not None and stored.digest != _digest(feedback):
        raise Conflict(
            "the same idempotency key, or the same decision, source and kind, came before with another body; "
            "send a new Idempotency-Key to correct it",
            stored=stored.body,
        )
    return FeedbackOutcome(
        status="duplicate", learned=stored.learned, reward=stored.reward, position=stored.position
    )


async def _append(log: LogWriter, item: _Resolution, learn_from: str | None, now: float) -> Event:
    feedback, decision = item.feedback, item.decision
    if isinstance(item.resolved, InvalidRequest):
        raise item.resolved
    resolved = item.resolved
    learned = decision.learnable and learn_from in (None, feedback.kind)
    event = await log.append(
        Event(
            kind="feedback",
            created_at=now,
            decision_id=decision.id,
            x=decision.x,
            updates=resolved.updates if learned else (),
            replaces=await log.taught(decision.id) if learned else (),
            body={
                "kind": feedback.kind,
                "played": decision.scored_by,
                "reward": resolved.reward,
                "learned": learned,
            },
        )
    )
    await log.add_feedback(
        StoredFeedback(
            key=feedback.key,
            identity=feedback.identity,
            decision_id=decision.id,
            digest=_digest(feedback),
            body=_body(feedback),
            learned=learned,
            reward=resolved.reward,
            position=event.position,
            created_at=now,
        )
    )
    return event


def _outcome(event: Event) -> FeedbackOutcome:
    return FeedbackOutcome(
        status="recorded",
        learned=event.body["learned"],
        reward=event.body["reward"],
        position=event.position,
    )


def _body(feedback: Feedback) -> dict[str, object]:
    body = {"decision_id": feedback.decision_id, feedback.kind: feedback.value, "source": feedback.source}
    return body | ({"metric": feedback.metric} if feedback.kind == "references" else {})


def _digest(feedback: Feedback) -> str:
    return hashlib.sha256(dumps(_body(feedback)).encode()).hexdigest()
