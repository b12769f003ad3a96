"""One feedback top to bottom: its decision, the rewards of the arms, its entry in the log, its outcome."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from laserve.bandit.state.blending import Lesson
from laserve.errors import Conflict, InvalidRequest, LaserveError
from laserve.eventlog.event_log import Entry, EventLog
from laserve.feedback.entries import FeedbackEntry, RefusedEntry
from laserve.feedback.rewards import UNIT, Resolved, RewardRange, resolve
from laserve.metrics import Metrics
from laserve.storage.base import Store
from laserve.types import Decision, Feedback, FeedbackOutcome, task_label


class Recorder:
    """Records feedback in the event log.

    Args:
        tasks: the declared ones, whose blends are learned apart.
        learn_from: the kind that teaches, where the log has not settled it yet; None for the first to come.
        settled: waits for scores of a decision that are still outstanding.
        alone: whether an arm's scores are its own, not made of the others'.
        reward_range: what rewards may be, and stand for.
    """

    def __init__(
        self,
        *,
        store: Store,
        log: EventLog,
        metrics: Metrics,
        tasks: Sequence[str] = (),
        learn_from: str | None = None,
        settled: Callable[[str], Awaitable[None]] | None = None,
        alone: Callable[[str], bool] = lambda name: True,
        reward_range: RewardRange = UNIT,
    ) -> None:
        self._store = store
        self._log = log
        self._metrics = metrics
        self._tasks = tuple(tasks)
        self._learn_from = learn_from
        self._settled = settled
        self._alone = alone
        self._reward_range = reward_range

    async def record(self, feedback: Feedback) -> FeedbackOutcome:
        """Acknowledge a feedback once it is durable.

        Raises:
            NotFound: the decision is unknown.
            Gone: the decision was deleted.
            Conflict: the same identity came before with another body.
            InvalidRequest: the value does not fit the decision.
            StoreError: the database refused; nothing was recorded.
        """
        return await self._submit(feedback, await self._entry(feedback))

    async def record_all(self, batch: Sequence[Feedback]) -> list[FeedbackOutcome | LaserveError]:
        """Acknowledge many, in their order; an error stands in its place and does not stop the others."""
        entries: dict[int, Entry[FeedbackOutcome]] = {}
        answers: dict[int, FeedbackOutcome | LaserveError] = {}
        for place, feedback in enumerate(batch):
            try:
                entries[place] = await self._entry(feedback)
            except LaserveError as error:
                answers[place] = error

        async def answer(place: int) -> None:
            try:
                answers[place] = await self._submit(batch[place], entries[place])
            except LaserveError as error:
                answers[place] = error

        await asyncio.gather(*map(answer, entries))
        return [answers[place] for place in range(len(batch))]

    async def _entry(self, feedback: Feedback) -> Entry[FeedbackOutcome]:
        """Look the decision up and resolve, before the log is opened.

        Measuring long texts would hold the log, and the event loop, for long.
        """
        if self._settled is not None:
            await self._settled(feedback.decision_id)
        decision = await self._store.decision(feedback.decision_id)
        try:
            if feedback.kind == "references":
                resolved = await asyncio.to_thread(resolve, feedback, decision)
            else:
                resolved = resolve(feedback, decision, self._reward_range)
        except InvalidRequest as error:
            return RefusedEntry(feedback=feedback, reason=error)
        return FeedbackEntry(
            feedback=feedback,
            decision=decision,
            resolved=resolved,
            lesson=self._lesson(decision, resolved),
            reward_range=self._reward_range,
            learn_from=self._learn_from,
        )

    def _lesson(self, decision: Decision, resolved: Resolved) -> Lesson | None:
        """What a feedback says of the arms' scores; None where it speaks of the returned answer alone."""
        if resolved.qualities is None:
            return None
        scores = {arm: each for arm, each in decision.scores.items() if self._alone(arm)}
        return Lesson.of(task_label(decision.task, self._tasks), scores, resolved.qualities)

    async def _submit(self, feedback: Feedback, entry: Entry[FeedbackOutcome]) -> FeedbackOutcome:
        try:
            outcome = await self._log.submit(entry)
        except Conflict:
            self._metrics.feedback.labels(feedback.kind, "conflict").inc()
            raise
        self._metrics.feedback.labels(feedback.kind, outcome.status).inc()
        return outcome
