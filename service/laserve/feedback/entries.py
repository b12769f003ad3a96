"""The log entries of feedback: a feedback, a refused feedback, and a default reward."""

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import Any

from laserve.bandit.state.blending import Lesson
from laserve.bandit.state.fold import BanditState
from laserve.errors import Conflict, InvalidRequest
from laserve.eventlog.event_log import Entry, Written
from laserve.feedback.rewards import UNIT, Resolved, RewardRange
from laserve.feedback.teaching import (
    check_context,
    reward_scale,
    scale_fields,
    scale_updates,
    teaching_fields,
)
from laserve.metrics import Metrics
from laserve.storage.base import LogWriter, StoredFeedback, default_identity
from laserve.storage.rows import dumps
from laserve.types import DEFAULT, Decision, Event, Feedback, FeedbackOutcome, Update

#: Reason why a feedback teaches nothing: the log learns from another kind.
ANOTHER_KIND = "kind"


@dataclass(frozen=True, kw_only=True)
class FeedbackEntry(Entry[FeedbackOutcome]):
    """A feedback with its rewards resolved."""

    feedback: Feedback
    decision: Decision
    #: Rewards of the arms.
    resolved: Resolved
    #: Lesson for the blends, from the candidates' qualities.
    lesson: Lesson | None = None
    #: Range of the rewards that the client sent.
    reward_range: RewardRange = UNIT
    #: Kind of feedback that teaches, unless the log has fixed it; None lets this kind teach.
    learn_from: str | None = None
    #: Label of the decision's task in the metrics.
    task: str = "none"

    async def write(self, log: LogWriter, state: BanditState, now: float) -> Written[FeedbackOutcome]:
        """Append the feedback, unless it is a duplicate.

        Raises:
            Conflict: an earlier feedback has the same identity and another body.
            Gone: the decision was deleted meanwhile.
            Damaged: the decision's context cannot be learned.
        """
        feedback = self.feedback
        earlier = await log.earlier(feedback.key, feedback.identity, feedback.decision_id)
        if (duplicate := _duplicate(feedback, earlier.same)) is not None:
            return Written(result=duplicate)
        # The decision, or its texts, may have been deleted since it was read.
        decision = await log.decision(self.decision.id)
        unlearned = self._unlearned(decision, state)
        event = await self._append(log, decision, state, now, learned=unlearned is None)
        return Written(
            result=_outcome_of(event),
            events=(event,),
            observe=partial(
                self._observe,
                decision=decision,
                event=event,
                first=not earlier.answered,
                unlearned=unlearned,
            ),
        )

    def _unlearned(self, decision: Decision, state: BanditState) -> str | None:
        """Reason why the feedback teaches nothing; None if it teaches."""
        if (reason := decision.unlearnable) is not None:
            return reason
        taught_by = state.learn_from or self.learn_from
        return None if taught_by in (None, self.feedback.kind) else ANOTHER_KIND

    async def _append(
        self, log: LogWriter, decision: Decision, state: BanditState, now: float, *, learned: bool
    ) -> Event:
        feedback, resolved = self.feedback, self.resolved
        intact = decision.retention == self.decision.retention
        late = decision.closes_at is not None and now > decision.closes_at
        if learned and decision.due_at is not None:
            await log.settle(decision.id)
        before = await log.taught(decision.id) if learned else None
        scale = reward_scale(before, state)
        return await _append(
            log,
            decision,
            now=now,
            updates=scale_updates(resolved.updates, scale) if learned else (),
            replaces=before.updates if before else (),
            body={
                "kind": feedback.kind,
                "played": decision.scored_by,
                "reward": resolved.reward,
                "learned": learned,
            }
            | (
                teaching_fields(decision, before, state.decisions) | scale_fields(resolved.reward, scale)
                if learned
                else {}
            )
            | ({"blend": self.lesson.to_json()} if learned and self.lesson else {})
            | ({"late": True} if late else {}),
            key=feedback.key,
            identity=feedback.identity,
            digest=_digest(_body(feedback)) if intact else None,
            stored=_body(feedback) | self.reward_range.to_json(feedback) if intact else None,
        )

    def _observe(
        self, metrics: Metrics, *, decision: Decision, event: Event, first: bool, unlearned: str | None
    ) -> None:
        """Count the feedback.

        Args:
            first: whether the decision had no feedback before.
            unlearned: reason why it teaches nothing; None if it teaches.
        """
        metrics.feedback_delay.observe(max(event.created_at - decision.created_at, 0.0))
        if first:
            metrics.answered.labels(decision.arm, decision.policy, self.task).inc()
        if decision.scored_by is not None:
            labels = (decision.scored_by, decision.policy, self.task)
            metrics.reward.labels(*labels).observe(event.body["reward"])
        if unlearned is not None:
            metrics.feedback_unlearned.labels(unlearned).inc()


@dataclass(frozen=True, kw_only=True)
class RefusedEntry(Entry[FeedbackOutcome]):
    """A feedback that does not fit its decision; a duplicate of it still has its outcome."""

    feedback: Feedback
    reason: InvalidRequest

    async def write(self, log: LogWriter, state: BanditState, now: float) -> Written[FeedbackOutcome]:
        """Return the outcome of a duplicate.

        Raises:
            Conflict: an earlier feedback has the same identity and another body.
            InvalidRequest: the reason of the refusal, when no earlier feedback has the identity.
        """
        stored = await log.feedback(self.feedback.key, self.feedback.identity)
        if (duplicate := _duplicate(self.feedback, stored)) is not None:
            return Written(result=duplicate)
        raise self.reason


@dataclass(frozen=True, kw_only=True)
class DefaultEntry(Entry[FeedbackOutcome]):
    """The default reward of a decision whose feedback window has closed."""

    decision_id: str

    async def write(self, log: LogWriter, state: BanditState, now: float) -> Written[FeedbackOutcome]:
        """Append the default reward, unless feedback has taught.

        Raises:
            Gone: the decision was deleted.
            Conflict: feedback has taught, or the log has the default reward already.
            Damaged: the stored decision cannot be read; its default reward is not due any more.
        """
        await log.settle(self.decision_id)
        decision = await log.decision(self.decision_id)
        identity, played = default_identity(decision.id), decision.scored_by
        reward = decision.default_reward
        stored = {"default_reward": reward}
        earlier = await log.feedback("", identity) or await log.taught(decision.id)
        if earlier or played is None or reward is None:
            raise Conflict("decision_id: no default reward is due", param="decision_id")
        scale = reward_scale(None, state)
        event = await _append(
            log,
            decision,
            now=now,
            updates=scale_updates((Update(arm=played, reward=reward),), scale),
            replaces=(),
            body={"kind": DEFAULT, "played": played, "reward": reward, "learned": True}
            | teaching_fields(decision, None, state.decisions)
            | scale_fields(reward, scale),
            key="",
            identity=identity,
            digest=_digest(stored),
            stored=stored,
        )
        # A default reward is not a client's rating, so the metrics of delay and reward leave it out.
        return Written(result=_outcome_of(event), events=(event,), observe=_count_default)

    async def abandon(self, log: LogWriter) -> None:
        """End the wait for the default reward, which would otherwise fall due again at once, for ever."""
        await log.settle(self.decision_id)


def _duplicate(feedback: Feedback, stored: StoredFeedback | None) -> FeedbackOutcome | None:
    """The outcome of a stored feedback of the same identity; None without one.

    Raises:
        Conflict: the stored feedback has another body, or is on another decision.
    """
    if stored is None:
        return None
    if stored.decision_id != feedback.decision_id:
        raise Conflict(
            "Idempotency-Key: was used before, with feedback on another decision",
            stored=stored.body,
            param="Idempotency-Key",
        )
    if stored.digest is not None and stored.digest != _digest(_body(feedback)):
        raise Conflict(
            "an earlier feedback with the same idempotency key, or the same decision, source and kind, "
            "has another body; send a new Idempotency-Key to correct it",
            stored=stored.body,
        )
    return FeedbackOutcome(
        status="duplicate", learned=stored.learned, reward=stored.reward, position=stored.position
    )


async def _append(
    log: LogWriter,
    decision: Decision,
    *,
    now: float,
    updates: tuple[Update, ...],
    replaces: tuple[Update, ...],
    body: dict[str, Any],
    key: str,
    identity: str,
    digest: str | None,
    stored: dict[str, Any] | None,
) -> Event:
    if updates:
        check_context(decision)
    event = await log.append(
        Event(
            kind="feedback",
            created_at=now,
            decision_id=decision.id,
            x=decision.x,
            updates=updates,
            replaces=replaces,
            body=body,
        )
    )
    await log.add_feedback(
        StoredFeedback(
            key=key,
            identity=identity,
            decision_id=decision.id,
            digest=digest,
            body=stored,
            learned=body["learned"],
            reward=body["reward"],
            position=event.position,
            created_at=now,
        )
    )
    return event


def _count_default(metrics: Metrics) -> None:
    metrics.feedback.labels(DEFAULT, "recorded").inc()


def _outcome_of(event: Event) -> FeedbackOutcome:
    """The outcome of the feedback that the event records."""
    return FeedbackOutcome(
        status="late" if event.body.get("late") else "recorded",
        learned=event.body["learned"],
        reward=event.body["reward"],
        position=event.position,
    )


def _body(feedback: Feedback) -> dict[str, Any]:
    """The client's body, by which duplicates are compared; the reward range is a setting and left out."""
    body = {"decision_id": feedback.decision_id, feedback.kind: feedback.value, "source": feedback.source}
    return body | ({"metric": feedback.metric} if feedback.kind == "references" else {})


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(dumps(body).encode()).hexdigest()
