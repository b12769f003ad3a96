"""Export of the log as lines of JSON: requests, candidates and rewards."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractContextManager, aclosing
from typing import Any, BinaryIO, get_args

from laserve.feedback.rewards import RewardRange, candidate_rewards
from laserve.storage.base import Logged, Store, StoredFeedback, Wanted
from laserve.types import DEFAULT, Decision, Feedback, FeedbackKind


class Export:
    """Lines of a store's decisions whose texts are kept, one line each."""

    def __init__(self, store: Store, wanted: Wanted) -> None:
        self._store = store
        self._wanted = wanted
        #: Number of lines so far.
        self.exported = 0
        #: Number of decisions so far whose texts are not kept.
        self.left_out = 0

    async def lines(self) -> AsyncGenerator[bytes]:
        """Lines in UTF-8, each with its line feed, oldest first; memory holds one page of decisions.

        Raises:
            StoreError: the database refused a read.
        """
        async with aclosing(self._store.decisions(self._wanted)) as decisions:
            async for logged in decisions:
                if logged.decision.retention != "full":
                    self.left_out += 1
                    continue
                line = await asyncio.to_thread(_encode, logged)  # measuring references may take long
                self.exported += 1
                yield line


async def export_store(
    store: Store, wanted: Wanted, to: Callable[[], AbstractContextManager[BinaryIO]]
) -> Export:
    """Open a store, write its lines and close it.

    Args:
        to: opens the file to write, after the store is open.

    Raises:
        ConfigError: there is no store.
        StoreError: the database refused a read; the lines before it are written.
        OSError: the lines cannot be written.
    """
    try:
        await store.open()
        export = Export(store, wanted)
        with to() as out:
            async with aclosing(export.lines()) as lines:
                async for line in lines:
                    out.write(line)
            out.flush()
        return export
    finally:
        await store.close()


def _encode(logged: Logged) -> bytes:
    text = json.dumps(line_of(logged), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode(errors="replace") + b"\n"


def line_of(logged: Logged) -> dict[str, Any]:
    """One line, as JSON values; `rewards` has shape (n,), each in [0, 1] or None where unknown."""
    decision = logged.decision
    rewards = rewards_of(logged)
    return {
        "id": decision.id,
        "created_at": decision.created_at,
        "task": decision.task,
        "policy": decision.policy,
        "arm": decision.arm,
        "scored_by": decision.scored_by,
        "propensity": decision.propensity,
        "metadata": dict(decision.metadata),
        **(decision.request or {}),
        "candidates": [
            {"text": candidate.text, "logprob": candidate.logprob, "tokens": candidate.tokens}
            for candidate in decision.candidates
        ],
        "index": decision.index,
        "scores": {arm: list(scores) for arm, scores in decision.scores.items()},
        "feedback": [_feedback_entry(row) for row in logged.feedback],
        "rewards": rewards,
        "reward": rewards[decision.index],
    }


def rewards_of(logged: Logged) -> list[float | None]:
    """Reward of each candidate by the feedback that counts; all None without feedback."""
    row = _counting(logged.feedback)
    if row is None or row.reward is None:
        return [None] * len(logged.decision.candidates)
    body = row.body or {}
    return candidate_rewards(
        _feedback(row, logged.decision), logged.decision, RewardRange(*body.get("reward_range", ()))
    )


def _counting(feedback: Sequence[StoredFeedback]) -> StoredFeedback | None:
    """The last feedback that taught, else the last feedback, else the default reward."""
    sent = [row for row in feedback if not _is_default(row)]
    learned = [row for row in sent if row.learned]
    return next(reversed(learned or sent or list(feedback)), None)


def _feedback(row: StoredFeedback, decision: Decision) -> Feedback:
    """The feedback of a row; its reward alone for a default reward, or where the body is not kept."""
    body, kind = row.body or {}, _kind(row)
    if kind is None:
        return Feedback(decision_id=decision.id, kind="reward", value=row.reward)
    metric = {"metric": body["metric"]} if "metric" in body else {}
    return Feedback(decision_id=decision.id, kind=kind, value=body[kind], **metric)


def _is_default(row: StoredFeedback) -> bool:
    return "default_reward" in (row.body or {})


def _kind(row: StoredFeedback) -> FeedbackKind | None:
    """Kind of the feedback; None for a default reward, and where the body is not kept."""
    return next((kind for kind in get_args(FeedbackKind) if kind in (row.body or {})), None)


def _feedback_entry(row: StoredFeedback) -> dict[str, Any]:
    body, kind = row.body or {}, _kind(row)
    return {
        "kind": DEFAULT if _is_default(row) else kind,
        "value": body.get(kind or "default_reward"),
        "metric": body.get("metric"),
        "source": body.get("source"),
        "reward": row.reward,
        "learned": row.learned,
        "created_at": row.created_at,
    } | ({"reward_range": body["reward_range"]} if "reward_range" in body else {})
