"""Off-policy evaluation of frozen policies on the decisions of the log."""

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
from laserve.history.rows import History, Row, matrix, offpolicy_log
from laserve.storage.base import Store, Wanted

#: Seed of a frozen policy's own sampling.
_SEED = 0


@dataclass(frozen=True, kw_only=True)
class Value:
    """Mean reward that one policy would have earned."""

    policy: str
    #: Number of decisions that the policy was evaluated on.
    decisions: int
    #: Number of these decisions with feedback.
    answered: int
    #: Estimator -> mean reward, or the reason why there is none.
    estimates: Mapping[str, Estimate | CannotSay | str]


@dataclass(frozen=True, kw_only=True)
class ModelChange:
    """Replacement of the generator, its template or a reward model after some of the decisions."""

    what: Subject
    #: The arm whose reward model was replaced; None for the generator and the template.
    arm: str | None
    #: Position of its event in the log.
    position: int
    #: Unix seconds.
    created_at: float
    #: Number of the read decisions drawn before the change; a log position is evaluated on later ones alone.
    decisions_before: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """Values of several policies on one log."""

    values: tuple[Value, ...]
    #: Mean reward of the returned answers with feedback.
    logged: Estimate | CannotSay | str
    #: Arm -> share of decisions with feedback, had the arm been drawn wherever it could be.
    answer_rates: Mapping[str, Estimate | CannotSay]
    #: Reason -> number of decisions without information for the evaluation.
    left_out: Mapping[str, int]
    #: Model changes since the first of the decisions, in the order of the log.
    changes: tuple[ModelChange, ...]


@dataclass(frozen=True, kw_only=True)
class _Target:
    """A frozen policy, and the first log position of decisions that it has not learned from."""

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
    """Evaluator of frozen policies on a log that another policy wrote.

    Args:
        store: store of the log.
        policy: the configured policy, of which a log position names a state.
        param: name of the field or option with the names of policies, for errors.
    """

    def __init__(self, *, store: Store, policy: Policy | Ensemble, param: str = "policies") -> None:
        self._store = store
        self._policy = policy
        self._param = param

    async def report(self, names: Sequence[str], wanted: Wanted) -> Report:
        """Values of policies: ``fixed:ARM``, ``random``, or a log position for the state there.

        Raises:
            InvalidRequest: a name is none of these.
            StoreError: the database refused a read.
        """
        targets = [await self._target(name) for name in names]
        history = await History.read(self._store, wanted)
        changes = await self._changes(history.rows)
        return await asyncio.to_thread(_report, targets, history, changes)

    async def _changes(self, rows: Sequence[Row]) -> tuple[ModelChange, ...]:
        """The changes after at least the first of the decisions."""
        if not rows:
            return ()
        replaced = []
        async for event in self._store.events(after=min(row.position for row in rows)):
            if event.kind == "change" and (change := Change.of(event, decisions=0)).replaces:
                model_change = ModelChange(
                    what=change.what,
                    arm=change.arm,
                    position=event.position,
                    created_at=event.created_at,
                    decisions_before=sum(row.position < event.position for row in rows),
                )
                replaced.append(model_change)
        return tuple(replaced)

    async def _target(self, name: str) -> _Target:
        if name.isdecimal():
            if isinstance(self._policy, Ensemble):
                raise self._refused(
                    f"{self._policy.name} does not learn, so no log position names a state of it"
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
                raise self._refused(f"no arm {arm!r} in the log; there are: {', '.join(state.arms)}")
        raise self._refused(
            f"{name!r} is not frozen; give fixed:ARM, random, or a log position, which stands for "
            f"{self._policy.name} with its state there"
        )

    async def _state(self, position: int | None) -> BanditState:
        """State of the bandit at a position, or at the end of the log."""
        state = BanditState()
        async for event in self._store.events():
            if position is not None and event.position > position:
                break
            state.apply(event)
        if position is not None and state.position < max(position, 1):
            raise self._refused(f"the log has no event {position}; its last is {state.position}")
        return state

    def _refused(self, reason: str) -> InvalidRequest:
        return InvalidRequest(f"{self._param}: {reason}", param=self._param)


def _report(targets: Sequence[_Target], history: History, changes: tuple[ModelChange, ...]) -> Report:
    answered = [row for row in history.rows if row.reward is not None]
    logged: Estimate | CannotSay | str = "no decision has feedback"
    rates: Mapping[str, Estimate | CannotSay] = {}
    if answered:
        log = offpolicy_log(history.rows)
        mask = np.array([row.reward is not None for row in history.rows])
        logged = value_when_answered(log, log.logged, mask)
        rates = answer_rates(log, mask)
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
    evaluated = [
        (row, chance)
        for row, chance in zip(later, chances, strict=True)
        if sum(chance.values()) > 0 and row.could_draw(chance)
    ]
    answered = np.array([row.reward is not None for row, _ in evaluated], dtype=bool)
    return Value(
        policy=target.name,
        decisions=len(evaluated),
        answered=int(answered.sum()),
        estimates=_estimates([row for row, _ in evaluated], [chance for _, chance in evaluated], answered),
    )


def _estimates(
    rows: Sequence[Row], chances: Sequence[Mapping[str, float]], answered: np.ndarray
) -> dict[str, Estimate | CannotSay | str]:
    if not answered.any():
        return dict.fromkeys(
            ESTIMATORS, "no decision with feedback at which the log could draw the arms of this policy"
        )
    log = offpolicy_log(rows)
    target = matrix(rows, log.arms, chances)
    bootstrap = ClusterBootstrap(log.clusters)
    if answered.all():
        return {name: evaluate(log, target, each, bootstrap=bootstrap) for name, each in ESTIMATORS.items()}
    partial = "needs feedback on every decision; snips covers the decisions with feedback"
    estimates: dict[str, Estimate | CannotSay | str] = dict.fromkeys(ESTIMATORS, partial)
    return estimates | {"snips": value_when_answered(log, target, answered, bootstrap=bootstrap)}
