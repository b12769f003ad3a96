"""Rows of the log for off-policy evaluation: one for each decision that a policy drew and an arm scored."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import numpy as np

from laserve.bandit.offpolicy.estimators import OffPolicyLog
from laserve.storage.base import Logged, Store, Wanted
from laserve.types import Decision, Vector


@dataclass(frozen=True, kw_only=True)
class Row:
    """One decision as off-policy evaluation needs it."""

    id: str
    x: Vector
    drawn: str
    #: Eligible arm -> chance of being drawn.
    chances: Mapping[str, float]
    #: Arm -> text that it would have returned, as the lowest index with equal words.
    winners: Mapping[str, int]
    #: Returned text.
    returned: int
    shadowed: bool
    #: Reward of the returned answer, in [0, 1]; None without feedback that taught.
    reward: float | None
    #: Source of the request, else the decision's id.
    cluster: str
    #: Log position of the state that drew the arm.
    position: int

    def could_draw(self, chances: Mapping[str, float]) -> bool:
        """Whether the logging policy could have drawn every arm with a chance here."""
        return all(self.chances.get(arm, 0.0) > 0 for arm, chance in chances.items() if chance > 0)


@dataclass(kw_only=True)
class History:
    """The rows of a log, in log order, and the numbers of decisions left out, by reason."""

    rows: list[Row] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    @classmethod
    async def read(cls, store: Store, wanted: Wanted) -> "History":
        """Rows of the wanted decisions. Raises StoreError when the database refuses a read."""
        history = cls()
        async with aclosing(store.decisions(wanted)) as decisions:
            async for logged in decisions:
                history.add(logged)
        return history

    def add(self, logged: Logged) -> None:
        decision = logged.decision
        if decision.propensity is None:
            self.left_out["drawn by no policy"] += 1
        elif decision.scored_by is None:
            self.left_out["scored by no arm"] += 1
        else:
            self.rows.append(_row(logged))


def _row(logged: Logged) -> Row:
    decision = logged.decision
    taught = [feedback.reward for feedback in logged.feedback if feedback.learned]
    source = decision.metadata.get("source")
    return Row(
        id=decision.id,
        x=decision.x,
        drawn=decision.arm,
        chances={why.arm: why.probability for why in decision.why},
        winners=_winners(decision),
        returned=decision.same_text[decision.index],
        shadowed=decision.shadowed,
        reward=taught[-1] if taught else None,
        cluster=source if isinstance(source, str) else decision.id,
        position=decision.log_position,
    )


def _winners(decision: Decision) -> dict[str, int]:
    """Text that each arm would have returned; unknown for a drawn arm where another arm scored instead."""
    return {
        arm: decision.same_text[best]
        for arm, best in decision.choices.items()
        if arm != decision.arm or decision.scored_by == arm
    }


def matrix(rows: Sequence[Row], arms: Sequence[str], chances: Sequence[Mapping[str, float]]) -> Vector:
    """Chances of the arms in each row, shape (N, K)."""
    return np.array([[row.get(arm, 0.0) for arm in arms] for row in chances], dtype=np.float64).reshape(
        len(rows), len(arms)
    )


def offpolicy_log(rows: Sequence[Row]) -> OffPolicyLog:
    """The rows as arrays; a row without a reward has reward 0, and is to be masked.

    Args:
        rows: at least one.
    """
    arms = tuple(dict.fromkeys(arm for row in rows for arm in row.chances))
    logged = matrix(rows, arms, [row.chances for row in rows])
    return OffPolicyLog(
        arms=arms,
        x=np.array([row.x for row in rows]),
        drawn=np.array([arms.index(row.drawn) for row in rows]),
        logged=logged / logged.sum(axis=1, keepdims=True),
        reward=np.array([row.reward or 0.0 for row in rows], dtype=np.float64),
        winners=np.array([[row.winners.get(arm, -1) for arm in arms] for row in rows]),
        returned=np.array([row.returned for row in rows]),
        shadowed=np.array([row.shadowed for row in rows]),
        clusters=np.array([row.cluster for row in rows]),
    )
