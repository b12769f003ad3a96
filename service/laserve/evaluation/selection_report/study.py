"""All replays that a report needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from laserve.config import PolicySettings
from laserve.evaluation.pools import Pool
from laserve.evaluation.replay.learners import BLIND, make_learners
from laserve.evaluation.replay.learning import DELAYED, FULL, PARTIAL, Learner, Mode, Run, replay
from laserve.evaluation.replay.outcomes import Outcomes, outcomes
from laserve.evaluation.replay.schedule import Schedule
from laserve.evaluation.replay.table import Table, tabulate

#: Metric that LASeR's long-context table is in.
F1 = "f1"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a pool is replayed."""

    policy: PolicySettings
    #: Names of the learners; the first is the one that findings are about.
    learners: tuple[str, ...]
    #: Random orders that every question is averaged over.
    orders: int
    #: Share of the requests on which the full learners see all arms.
    shadow_share: float


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """Runs over one table."""

    table: Table
    schedule: Schedule
    runs: tuple[Run, ...]
    outcomes: Outcomes


@dataclass(frozen=True, kw_only=True)
class Study:
    """A pool, replayed with all its arms and without the weakest."""

    plan: Plan
    pool: Pool
    whole: Replayed
    #: The arm whose answers have the lowest mean F1; None without questions in F1, or with two arms or one.
    weakest: str | None
    #: The first learner, partial and full, without it.
    without: Replayed | None


def run(pool: Pool, plan: Plan, advanced: Callable[[int, int], None] = lambda done, of: None) -> Study:
    """Replay the pool.

    Args:
        advanced: told how many requests have been replayed, and of how many.

    Raises:
        ConfigError: the pool holds nothing to replay, or a policy is not known.
    """
    table = tabulate(pool)
    weakest = _weakest(table)
    learners = make_learners(plan.learners, plan.policy, table)
    jobs = [(learner, mode) for learner in learners for mode in (PARTIAL, FULL, DELAYED)]
    jobs = [(one, mode) for one, mode in jobs if not (one.name.endswith(BLIND) and mode is DELAYED)]
    fewer = tabulate(pool.without(weakest)) if weakest else None
    of = len(jobs) * len(table) + (2 * len(fewer) if fewer else 0)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        advanced(done, of)

    whole = _replay(table, jobs, plan, step)
    without = None
    if fewer is not None:
        (first, _) = make_learners(plan.learners[:1], plan.policy, fewer)
        without = _replay(fewer, [(first, PARTIAL), (first, FULL)], plan, step)
    return Study(plan=plan, pool=pool, whole=whole, weakest=weakest, without=without)


def _replay(
    table: Table, jobs: Sequence[tuple[Learner, Mode]], plan: Plan, step: Callable[[], None]
) -> Replayed:
    schedule = Schedule.make(
        table.ids, orders=plan.orders, shadow_share=plan.shadow_share, seed=plan.policy.seed
    )
    runs = tuple(replay(table, learner, mode, schedule, step) for learner, mode in jobs)
    return Replayed(table=table, schedule=schedule, runs=runs, outcomes=outcomes(table, schedule, runs))


def _weakest(table: Table) -> str | None:
    rows = table.where(metric=F1)
    if not rows.any() or len(table.arms) < 3:
        return None
    return table.arms[int(np.argmin(table.rewards[rows].mean(axis=0)))]
