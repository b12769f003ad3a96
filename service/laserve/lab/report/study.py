"""Study of a pool: all replays that a report needs."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from laserve.config import PolicySettings
from laserve.lab.pools.pool import Pool
from laserve.lab.replay.combining import combine
from laserve.lab.replay.learners import BLENDING, BLIND, PRIOR, make_learners
from laserve.lab.replay.learning import DELAYED, FULL, PARTIAL, Learner, Mode, Run, replay
from laserve.lab.replay.outcomes import Outcomes, outcomes
from laserve.lab.replay.schedule import Schedule
from laserve.lab.replay.table import Table, tabulate

#: Metric whose block stands at the top of a report.
F1 = "f1"

Step = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Parameters of the replays."""

    policy: PolicySettings
    #: Names of the learners; the findings are about the first.
    learners: tuple[str, ...]
    #: Number of random orders; a question's figures are means over them.
    orders: int
    #: Share of the requests on which the full learners learn the rewards of all arms.
    shadow_share: float

    def schedule(self, table: Table) -> Schedule:
        return Schedule.make(
            table.ids, orders=self.orders, shadow_share=self.shadow_share, seed=self.policy.seed
        )

    def jobs(self, table: Table) -> list[tuple[Learner, Mode]]:
        """Every learner in every mode, and their variants in the modes of the comparisons."""
        return [
            (learner, mode)
            for learner in make_learners(self.learners, self.policy, table)
            for mode in _modes(learner)
        ]


def _modes(learner: Learner) -> tuple[Mode, ...]:
    if learner.name.endswith(BLIND):
        return PARTIAL, FULL
    return (PARTIAL,) if learner.name.endswith(PRIOR) else (PARTIAL, FULL, DELAYED)


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """Runs over one table, and their outcomes."""

    table: Table
    schedule: Schedule
    runs: tuple[Run, ...]
    outcomes: Outcomes


@dataclass(frozen=True, kw_only=True)
class Study:
    """A pool and its replays."""

    plan: Plan
    pool: Pool
    whole: Replayed


def run(pool: Pool, plan: Plan, on_progress: Callable[[int, int], None] = lambda done, total: None) -> Study:
    """Replay the pool.

    Args:
        on_progress: called with the number of requests replayed, and their total.

    Raises:
        ConfigError: the pool has nothing to replay, or a policy is unknown.
    """
    table = tabulate(pool)
    total = (len(plan.jobs(table)) + 3) * len(table)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        on_progress(done, total)

    return Study(plan=plan, pool=pool, whole=_whole(pool, table, plan, step))


def _whole(pool: Pool, table: Table, plan: Plan, step: Step) -> Replayed:
    """All learners, the combination of the arms, and the first learner with the combination as an arm.

    As an arm, the combination learns its weights from the shadowed requests alone. In the service it learns
    from every request the weights of the arms whose scores are known, so the result is a lower bound.
    """
    schedule, jobs = plan.schedule(table), plan.jobs(table)
    first, _ = jobs[0]
    shadowed = combine(pool, table, schedule, step, learned=schedule.shadowed)
    blending = replace(first, name=first.name + BLENDING, blend=shadowed.rewards)
    runs = tuple(replay(table, learner, mode, schedule, step) for learner, mode in [*jobs, (blending, FULL)])
    combined = combine(pool, table, schedule, step)
    return Replayed(
        table=table, schedule=schedule, runs=runs, outcomes=outcomes(table, schedule, runs, [combined])
    )
