"""Quality and cost of policies on each question, averaged over the orders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from laserve.lab.replay.combining import Combined
from laserve.lab.replay.learning import Run
from laserve.lab.replay.schedule import Schedule
from laserve.lab.replay.table import Mask, Matrix, Table
from laserve.types import Vector

#: Policies without learning, present in every report.
RANDOM, ENSEMBLE_MEAN, ENSEMBLE_RANK = "random", "ensemble-mean", "ensemble-rank"


@dataclass(frozen=True, kw_only=True)
class Part:
    """Figures of a policy on each question, each of shape (N,), float64; means over the orders that count."""

    #: Quality of the answer, in [0, 1].
    reward: Vector
    #: Number of arms that scored the question to answer it.
    rm_calls: Vector
    #: Number of further arms that scored it, to learn from; free arms count only if all arms scored.
    shadow_calls: Vector
    #: Number of all these arms whose scores cost nothing.
    free_calls: Vector


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Figures of one policy over the whole run, and over its last third."""

    name: str
    whole: Part
    late: Part


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """Outcomes of policies on one table, in common orders."""

    table: Table
    #: Share of the orders that have a question in their last third, shape (N,).
    late: Vector
    policies: tuple[Outcome, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(policy.name for policy in self.policies)

    def __getitem__(self, name: str) -> Outcome:
        return next(policy for policy in self.policies if policy.name == name)


def fixed(arm: str) -> str:
    """Name of the policy that always plays this arm."""
    return f"fixed:{arm}"


def outcomes(
    table: Table, schedule: Schedule, runs: Sequence[Run], combined: Sequence[Combined] = ()
) -> Outcomes:
    """Outcomes of the runs, and of policies that need no run: a random arm, each arm alone, the ensembles."""
    late = np.tile(schedule.late, (schedule.replays, 1))
    return Outcomes(
        table=table,
        late=_by_question(schedule, late, late=None),
        policies=(
            *_baselines(table),
            *(_combined(table, schedule, one) for one in combined),
            *(_learned(table, schedule, run) for run in runs),
        ),
    )


def _baselines(table: Table) -> list[Outcome]:
    """Exact expectations, equal at every position."""
    count = table.available.sum(axis=1).astype(np.float64)
    free = (table.available & table.free).sum(axis=1).astype(np.float64)
    one = np.ones(len(table))
    every = {"rm_calls": count, "free_calls": free, "shadow_calls": 0 * one}
    ensembles = {ENSEMBLE_MEAN: table.ensemble_mean, ENSEMBLE_RANK: table.ensemble_rank}
    parts = {
        RANDOM: Part(
            reward=table.rewards.mean(axis=1), rm_calls=one, shadow_calls=0 * one, free_calls=free / count
        )
    }
    for index, arm in enumerate(table.arms):
        cheap = np.where(table.available[:, index], float(table.free[index]), free / count)
        parts[fixed(arm)] = Part(
            reward=table.rewards[:, index], rm_calls=one, shadow_calls=0 * one, free_calls=cheap
        )
    parts |= {name: Part(reward=reward, **every) for name, reward in ensembles.items()}
    return [Outcome(name=name, whole=part, late=part) for name, part in parts.items()]


def _combined(table: Table, schedule: Schedule, combined: Combined) -> Outcome:
    """Outcome of a combination: every arm that has scores is called on every request."""
    count = table.available.sum(axis=1)[schedule.orders]
    free = (table.available & table.free).sum(axis=1)[schedule.orders]
    values = {
        "reward": combined.rewards,
        "rm_calls": count,
        "shadow_calls": np.zeros(count.shape),
        "free_calls": free,
    }
    return _averaged(schedule, combined.name, values)


def _learned(table: Table, schedule: Schedule, run: Run) -> Outcome:
    questions, replays = schedule.orders, np.arange(schedule.replays)[:, None]
    shadowed = schedule.shadowed[replays, questions] & run.mode.full
    every = table.available[questions].sum(axis=2)
    free = (table.available & table.free)[questions].sum(axis=2)
    blended = run.picked == len(table.arms)
    drawn_free = np.append(table.free, False)[run.picked]
    values = {
        "reward": run.rewards,
        "rm_calls": np.where(blended, every, 1),
        "shadow_calls": np.where(shadowed & ~blended, every - 1, 0),
        "free_calls": np.where(shadowed | blended, free, drawn_free),
    }
    return _averaged(schedule, run.name, values)


def _averaged(schedule: Schedule, name: str, values: Mapping[str, Matrix]) -> Outcome:
    """Outcome from values by order and position, shape (O, N): their means by question."""
    return Outcome(
        name=name,
        whole=Part(**{name: _by_question(schedule, value, late=None) for name, value in values.items()}),
        late=Part(
            **{name: _by_question(schedule, value, late=schedule.late) for name, value in values.items()}
        ),
    )


def _by_question(schedule: Schedule, values: Matrix | Mask, *, late: Mask | None) -> Vector:
    """Mean over the orders of a value by order and position, shape (N,).

    Args:
        values: shape (O, N).
        late: positions that count, shape (N,), None for all; a question without such a position has 0.
    """
    counting = np.ones(values.shape[1]) if late is None else late.astype(np.float64)
    weights = np.tile(counting, (len(values), 1)).ravel()
    where, count = schedule.orders.ravel(), values.shape[1]
    total = np.bincount(
        where, weights=weights * np.asarray(values, dtype=np.float64).ravel(), minlength=count
    )
    whole = np.bincount(where, weights=weights, minlength=count)
    return np.asarray(total / np.where(whole > 0, whole, 1.0), dtype=np.float64)
