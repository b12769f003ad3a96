"""The stages of one feedback: its decision, the rewards of the arms, its entry in the log, its outcome."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from laserve.bandit.state.blending import Lesson
from laserve.errors import Conflict, Damaged, InvalidRequest, LaserveError
from laserve.eventlog.event_log import Entry, EventLog
from laserve.feedback.entries import FeedbackEntry, RefusedEntry
from laserve.feedback.rewards import UNIT, Resolved, RewardRange, resolve
from laserve.metrics import Metrics
from laserve.storage.base import Store
from laserve.types import Decision, Feedback, FeedbackOutcome, task_label

#: Reason why a feedback teaches nothing: its decision's row in the database is damaged.
DAMAGED = "damaged"


class Recorder:
    """The recorder of feedback in the event log.

    Args:
        tasks: declared tasks, each with blend weights of its own.
        learn_from: kind of feedback that teaches, unless the log has fixed it; None for the kind that
            arrives first.
        wait_for_scores: waits until no scores of a decision are outstanding, by the decision's id.
        scores_alone: whether the arm of this name scores by itself, and does not combine other arms' scores.
        reward_range: range of the rewards that clients send.
    """

    def __init__(
        self,
        *,
        store: Store,
        log: EventLog,
        metrics: Metrics,
        tasks: Sequence[str] = (),
        learn_from: str | None = None,
        wait_for_scores: Callable[[str], Awaitable[None]] | None = None,
        scores_alone: Callable[[str], bool] = lambda name: True,
        reward_range: RewardRange = UNIT,
    ) -> None:
        self._store = store
        self._log = log
        self._metrics = metrics
        self._tasks = tuple(tasks)
        self._learn_from = learn_from
        self._wait_for_scores = wait_for_scores
        self._scores_alone = scores_alone
        self._reward_range = reward_range

    async def record(self, feedback: Feedback) -> FeedbackOutcome:
        """The outcome of a feedback, once the feedback is durable.

        Raises:
            NotFound: the decision is unknown.
            Gone: the decision was deleted.
            Conflict: an earlier feedback has the same identity and another body.
            InvalidRequest: the value does not fit the decision.
            StoreError: the database refused; nothing was recorded.
        """
        with self._counting(feedback):
            return await self._submit(feedback, await self._entry(feedback))

    async def record_all(self, batch: Sequence[Feedback]) -> list[FeedbackOutcome | LaserveError]:
        """The outcome or the error of each feedback, in order; an error does not stop the others."""
        entries: dict[int, Entry[FeedbackOutcome]] = {}
        outcomes: dict[int, FeedbackOutcome | LaserveError] = {}
        for index, feedback in enumerate(batch):
            try:
                with self._counting(feedback):
                    entries[index] = await self._entry(feedback)
            except LaserveError as error:
                outcomes[index] = error

        async def submit(index: int) -> None:
            try:
                with self._counting(batch[index]):
                    outcomes[index] = await self._submit(batch[index], entries[index])
            except LaserveError as error:
                outcomes[index] = error

        await asyncio.gather(*map(submit, entries))
        return [outcomes[index] for index in range(len(batch))]

    async def _entry(self, feedback: Feedback) -> Entry[FeedbackOutcome]:
        """The entry of a feedback, with its rewards resolved before the log is opened.

        Measuring long texts takes long: it must block neither the log nor the event loop.
        """
        if self._wait_for_scores is not None:
            await self._wait_for_scores(feedback.decision_id)
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
            task=task_label(decision.task, self._tasks),
        )

    def _lesson(self, decision: Decision, resolved: Resolved) -> Lesson | None:
        """The blends' lesson from a feedback; None where it rates only the returned answer."""
        if resolved.qualities is None:
            return None
        scores = {arm: each for arm, each in decision.scores.items() if self._scores_alone(arm)}
        return Lesson.of(task_label(decision.task, self._tasks), scores, resolved.qualities)

    @contextmanager
    def _counting(self, feedback: Feedback) -> Iterator[None]:
        """Count a feedback that is refused within the block."""
        try:
            yield
        except Conflict:
            self._metrics.feedback.labels(feedback.kind, "conflict").inc()
            raise
        except Damaged:
            self._metrics.feedback_unlearned.labels(DAMAGED).inc()
            raise

    async def _submit(self, feedback: Feedback, entry: Entry[FeedbackOutcome]) -> FeedbackOutcome:
        outcome = await self._log.submit(entry)
        self._metrics.feedback.labels(feedback.kind, outcome.status).inc()
        return outcome
