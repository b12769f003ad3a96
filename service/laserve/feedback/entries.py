"""Entries of the event log that are about feedback: a feedback, a refused one, and a default reward."""

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from laserve.bandit.state.blending import Lesson
from laserve.bandit.state.fold import BanditState
from laserve.bandit.state.scaling import Scale
from laserve.errors import Conflict, Damaged, InvalidRequest
from laserve.eventlog.event_log import Entry, Written
from laserve.feedback.rewards import UNIT, Resolved, RewardRange
from laserve.metrics import Metrics
from laserve.storage.base import LogWriter, StoredFeedback
from laserve.storage.rows import dumps
from laserve.types import DEFAULT, Decision, Event, Feedback, FeedbackOutcome, Update

#: No feature comes near it, since they are standardised, or parts of a vector of unit norm; nor does NaN.
_LARGEST_FEATURE = 1e6


@dataclass(frozen=True, kw_only=True)
class FeedbackEntry(Entry[FeedbackOutcome]):
    """A feedback whose rewards are resolved."""

    feedback: Feedback
    decision: Decision
    #: Rewards of the arms.
    resolved: Resolved
    #: What the candidates' qualities say of the arms' scores.
    lesson: Lesson | None = None
    #: The unit in which its rewards were said.
    reward_range: RewardRange = UNIT
    #: The kind of feedback that teaches, where the log has not settled it yet; None lets this one.
    learn_from: str | None = None

    async def write(self, log: LogWriter, state: BanditState, now: float) -> Written[FeedbackOutcome]:
        """Append the feedback, unless it is known.

        Raises:
            Conflict: the same identity came before with another body.
            Gone: the decision was deleted meanwhile.
            Damaged: the decision's context cannot be learned.
        """
        if (known := await _find_known(log, self.feedback)) is not None:
            return Written(result=known)
        # The decision, or its texts, may have been deleted since it was read.
        decision = await log.decision(self.decision.id)
        event = await self._append(log, decision, state, now)
        return Written(
            result=_outcome_of(event),
            events=(event,),
            observe=partial(_observe, decision=decision, event=event, now=now),
        )

    async def _append(self, log: LogWriter, decision: Decision, state: BanditState, now: float) -> Event:
        feedback, resolved = self.feedback, self.resolved
        kept = decision.retention == self.decision.retention
        learned = decision.learnable and (state.learn_from or self.learn_from) in (None, feedback.kind)
        late = decision.closes_at is not None and now > decision.closes_at
        if learned and decision.due_at is not None:
            await log.settle(decision.id)
        before = await log.taught(decision.id) if learned else None
        scale = _scale(before, state)
        return await _append(
            log,
            decision,
            now=now,
            updates=_learned(resolved.updates, scale) if learned else (),
            replaces=before.updates if before else (),
            body={
                "kind": feedback.kind,
                "played": decision.scored_by,
                "reward": resolved.reward,
                "learned": learned,
            }
            | (
                _lesson(decision, before, state.decisions) | _scaled(resolved.reward, scale)
                if learned
                else {}
            )
            | ({"blend": self.lesson.to_json()} if learned and self.lesson else {})
            | ({"late": True} if late else {}),
            key=feedback.key,
            identity=feedback.identity,
            digest=_digest(_said(feedback)) if kept else None,
            stored=_said(feedback) | self.reward_range.of(feedback) if kept else None,
        )


@dataclass(frozen=True, kw_only=True)
class RefusedEntry(Entry[FeedbackOutcome]):
    """A feedback that does not fit its decision; it is answered all the same where it is known."""

    feedback: Feedback
    reason: InvalidRequest

    async def write(self, log: LogWriter, state: BanditState, now: float) -> Written[FeedbackOutcome]:
        """Raises Conflict when the same identity came before with another body, else the reason."""
        if (known := await _find_known(log, self.feedback)) is not None:
            return Written(result=known)
        raise self.reason


@dataclass(frozen=True, kw_only=True)
class DefaultEntry(Entry[FeedbackOutcome]):
    """The default reward of a decision whose feedback window has closed."""

    decision_id: str

    async def write(self, log: LogWriter, state: BanditState, now: float) -> Written[FeedbackOutcome]:
        """Append the default, unless feedback has taught.

        Raises:
            Gone: the decision was deleted.
            Conflict: feedback has taught, or the default is there already.
            Damaged: what is stored of the decision cannot be used; its default is not due any more.
        """
        await log.settle(self.decision_id)
        decision = await log.decision(self.decision_id)
        identity, played, reward = f"default:{decision.id}", decision.scored_by, decision.default_reward
        said = {"default_reward": reward}
        known = await log.feedback("", identity) or await log.taught(decision.id)
        if known or played is None or reward is None:
            raise Conflict("decision_id: no default reward is due", param="decision_id")
        scale = _scale(None, state)
        event = await _append(
            log,
            decision,
            now=now,
            updates=_learned((Update(arm=played, reward=reward),), scale),
            replaces=(),
            body={"kind": DEFAULT, "played": played, "reward": reward, "learned": True}
            | _lesson(decision, None, state.decisions)
            | _scaled(reward, scale),
            key="",
            identity=identity,
            digest=_digest(said),
            stored=said,
        )
        # Nobody's word on the answer, so that neither the delay nor the arm's rewards take notice.
        return Written(result=_outcome_of(event), events=(event,), observe=_count_default)

    async def abandon(self, log: LogWriter) -> None:
        """Let the default be due no more; else it would be due again at once, for ever."""
        await log.settle(self.decision_id)


async def _find_known(log: LogWriter, feedback: Feedback) -> FeedbackOutcome | None:
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
    if stored.digest is not None and stored.digest != _digest(_said(feedback)):
        raise Conflict(
            "the same idempotency key, or the same decision, source and kind, came before with another body; "
            "send a new Idempotency-Key to correct it",
            stored=stored.body,
        )
    return FeedbackOutcome(
        status="duplicate", learned=stored.learned, reward=stored.reward, position=stored.position
    )


def _scale(before: Event | None, state: BanditState) -> Scale | None:
    """By what a decision's rewards are scaled: those learned before it; None leaves them as they are.

    A correction keeps the scale of what it corrects, which is what it would have had if it had been right at
    once. So whoever repeats himself changes nothing.

    Args:
        before: the event by which the decision has taught so far.
        state: the fold of all events in front of the decision's.
    """
    if before is not None:
        return Scale(*before.body["scale"]) if "scale" in before.body else None
    return state.rewards.scale if state.scales_rewards else None


def _learned(updates: tuple[Update, ...], scale: Scale | None) -> tuple[Update, ...]:
    return updates if scale is None else scale.scaled(updates)


def _scaled(reward: float, scale: Scale | None) -> dict[str, Any]:
    """The returned answer's reward as it is learned, beside ``reward``, which stays what it was worth."""
    return {} if scale is None else {"scale": [scale.low, scale.high], "scaled_reward": scale.of(reward)}


def _lesson(decision: Decision, before: Event | None, decisions: int) -> dict[str, Any]:
    """What the fold must know of a decision that teaches, beside its updates.

    ``ordinal`` says which of the learned decisions it is, so that a correction weighs what its original does
    by now; ``drawn`` and ``propensity`` are what losses are estimated from, and ``replaced_reward`` is what
    they were estimated with; ``replaced_blend`` is what the original said of the arms' scores.

    Args:
        before: the event by which the decision has taught so far.
        decisions: learned so far.
    """
    lesson: dict[str, Any] = {"drawn": decision.arm, "propensity": decision.propensity}
    if before is None:
        return lesson | {"ordinal": decisions + 1}
    if "drawn" in before.body:
        lesson["replaced_reward"] = before.body.get("scaled_reward", before.body["reward"])
    if "blend" in before.body:
        lesson["replaced_blend"] = before.body["blend"]
    if "ordinal" in before.body:  # not in events of older versions
        lesson["ordinal"] = before.body["ordinal"]
    return lesson


def _check_context(decision: Decision) -> None:
    """Raise Damaged when the context is not one that was ever computed; learning it would spoil an arm."""
    if not (np.abs(decision.x) < _LARGEST_FEATURE).all():
        raise Damaged(f"decision {decision.id!r} cannot teach: its context is damaged")


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
        _check_context(decision)
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


def _observe(metrics: Metrics, *, decision: Decision, event: Event, now: float) -> None:
    metrics.feedback_delay.observe(max(now - decision.created_at, 0.0))
    if decision.scored_by is not None:
        metrics.reward.labels(decision.scored_by).observe(event.body["reward"])


def _count_default(metrics: Metrics) -> None:
    metrics.feedback.labels(DEFAULT, "recorded").inc()


def _outcome_of(event: Event) -> FeedbackOutcome:
    """The answer to what was appended."""
    return FeedbackOutcome(
        status="late" if event.body.get("late") else "recorded",
        learned=event.body["learned"],
        reward=event.body["reward"],
        position=event.position,
    )


def _said(feedback: Feedback) -> dict[str, Any]:
    """What makes a repeat the same; not the unit, which is no client's word."""
    said = {"decision_id": feedback.decision_id, feedback.kind: feedback.value, "source": feedback.source}
    return said | ({"metric": feedback.metric} if feedback.kind == "references" else {})


def _digest(said: dict[str, Any]) -> str:
    return hashlib.sha256(dumps(said).encode()).hexdigest()
