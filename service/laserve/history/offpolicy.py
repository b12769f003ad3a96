"""What a frozen policy would have earned on the decisions of the log."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from laserve.bandit.offpolicy.estimators import (
    ESTIMATORS,
    CannotSay,
    ClusterBootstrap,
    Estimate,
    answer_rates,
    evaluate,
    value_when_answered,
)
from laserve.bandit.policies.base import Policy, noise
from laserve.bandit.policies.baselines import FixedArm, RandomArm
from laserve.bandit.policies.ensembles import Ensemble
from laserve.bandit.state.changes import Change, Subject
from laserve.bandit.state.fold import BanditState
from laserve.bandit.state.linear import LinearModel
from laserve.errors import InvalidRequest
from laserve.history.rows import History, Row, as_log, matrix
from laserve.storage.base import Store, Wanted

#: Of what a frozen policy samples.
_SEED = 0


@dataclass(frozen=True, kw_only=True)
class Value:
    """What one policy would have earned."""

    policy: str
    #: Decisions that it was judged on, and those of them with feedback.
    decisions: int
    answered: int
    #: Estimator -> mean reward, or why there is none.
    estimates: Mapping[str, Estimate | CannotSay | str]


@dataclass(frozen=True, kw_only=True)
class Crossed:
    """Another generator, template or reward model than some of the decisions were made with."""

    what: Subject
    #: The arm whose reward model it is.
    arm: str | None
    #: Of its event in the log.
    position: int
    #: Unix seconds.
    created_at: float
    #: Decisions drawn before it, of all that were read; a log position is judged on later ones alone.
    decisions_before: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """Policies side by side."""

    values: tuple[Value, ...]
    #: Mean reward of the answers that were returned, among those with feedback.
    logged: Estimate | CannotSay | str
    #: Arm -> share of decisions that get feedback, had it been drawn wherever it could be.
    answer_rates: Mapping[str, Estimate | CannotSay]
    #: Why -> decisions that tell nothing.
    left_out: Mapping[str, int]
    #: What has changed since the first of the decisions, in the order of the log.
    changes: tuple[Crossed, ...]


@dataclass(frozen=True, kw_only=True)
class _Target:
    """A frozen policy, and the first position at which it has learned from no later decision."""

    name: str
    policy: Policy
    state: BanditState
    behind: int = 0

    def chances(self, model: LinearModel, row: Row) -> dict[str, float]:
        arms = [arm for arm in row.chances if arm in self.state.arms]
        if not arms:
            return {}
        chances = self.policy.probabilities(model, row.x, arms, noise(_SEED, row.id))
        return dict(zip(arms, chances.tolist(), strict=True))


class Evaluator:
    """Judges frozen policies by a log that another policy wrote.

    Args:
        policy: the configured one, which is meant where a log position stands for a policy.
    """

    def __init__(self, *, store: Store, policy: Policy | Ensemble) -> None:
        self._store = store
        self._policy = policy

    async def report(self, names: Sequence[str], wanted: Wanted) -> Report:
        """Evaluate policies: ``fixed:ARM``, ``random``, or a log position for the state that stood there.

        Raises:
            InvalidRequest: a name is none of these.
            StoreError: the database refused.
        """
        targets = [await self._target(name) for name in names]
        history = await History.read(self._store, wanted)
        changes = await self._changes(history.rows)
        return await asyncio.to_thread(_report, targets, history, changes)

    async def _changes(self, rows: Sequence[Row]) -> tuple[Crossed, ...]:
        """The changes that the decisions lie on both sides of, or all of them before."""
        if not rows:
            return ()
        found = []
        async for event in self._store.events(after=min(row.position for row in rows)):
            if event.kind == "change" and (change := Change.of(event, decisions=0)).replaces:
                crossed = Crossed(
                    what=change.what,
                    arm=change.arm,
                    position=event.position,
                    created_at=event.created_at,
                    decisions_before=sum(row.position < event.position for row in rows),
                )
                found.append(crossed)
        return tuple(found)

    async def _target(self, name: str) -> _Target:
        if name.isdecimal():
            if isinstance(self._policy, Ensemble):
                raise InvalidRequest(
                    f"policies: {self._policy.name} learns nothing, so no log position stands for it",
                    param="policies",
                )
            state = await self._state(int(name))
            return _Target(name=name, policy=self._policy, state=state, behind=int(name))
        state = await self._state(None)
        match name.partition(":"):
            case ("random", "", _):
                return _Target(name=name, policy=RandomArm(), state=state)
            case ("fixed", ":", arm) if arm in state.arms:
                return _Target(name=name, policy=FixedArm(arm), state=state)
            case ("fixed", ":", arm):
                raise InvalidRequest(
                    f"policies: no arm {arm!r} in the log; there are: {', '.join(state.arms)}",
                    param="policies",
                )
        raise InvalidRequest(
            f"policies: {name!r} is not frozen; give fixed:ARM, random, or a log position, which stands for "
            f"{self._policy.name} with what it had learned there",
            param="policies",
        )

    async def _state(self, position: int | None) -> BanditState:
        """The fold up to a position, or of the whole log."""
        state = BanditState()
        async for event in self._store.events():
            if position is not None and event.position > position:
                break
            state.apply(event)
        if position is not None and state.position < max(position, 1):
            raise InvalidRequest(
                f"policies: the log has no event {position}; its last is {state.position}",
                param="policies",
            )
        return state


def _report(targets: Sequence[_Target], history: History, changes: tuple[Crossed, ...]) -> Report:
    answered = [row for row in history.rows if row.reward is not None]
    logged: Estimate | CannotSay | str = "no decision has feedback"
    rates: Mapping[str, Estimate | CannotSay] = {}
    if answered:
        log = as_log(history.rows)
        told = np.array([row.reward is not None for row in history.rows])
        logged = value_when_answered(log, log.logged, told)
        rates = answer_rates(log, told)
    return Report(
        values=tuple(_value(target, history.rows) for target in targets),
        logged=logged,
        answer_rates=rates,
        left_out=dict(history.left_out),
        changes=changes,
    )


def _value(target: _Target, rows: Sequence[Row]) -> Value:
    model = LinearModel(target.state)
    later = [row for row in rows if row.position >= target.behind]
    chances = [target.chances(model, row) for row in later]
    judged = [
        (row, chance)
        for row, chance in zip(later, chances, strict=True)
        if sum(chance.values()) > 0 and row.able(chance)
    ]
    told = np.array([row.reward is not None for row, _ in judged], dtype=bool)
    return Value(
        policy=target.name,
        decisions=len(judged),
        answered=int(told.sum()),
        estimates=_estimates([row for row, _ in judged], [chance for _, chance in judged], told),
    )


def _estimates(
    rows: Sequence[Row], chances: Sequence[Mapping[str, float]], told: np.ndarray
) -> dict[str, Estimate | CannotSay | str]:
    if not told.any():
        return dict.fromkeys(ESTIMATORS, "no decision that the log could have left to it has feedback")
    log = as_log(rows)
    target = matrix(rows, log.arms, chances)
    bootstrap = ClusterBootstrap(log.clusters)
    if told.all():
        return {name: evaluate(log, target, each, bootstrap=bootstrap) for name, each in ESTIMATORS.items()}
    partial = "needs feedback on every decision; snips is of those that have it"
    found: dict[str, Estimate | CannotSay | str] = dict.fromkeys(ESTIMATORS, partial)
    return found | {"snips": value_when_answered(log, target, told, bootstrap=bootstrap)}
