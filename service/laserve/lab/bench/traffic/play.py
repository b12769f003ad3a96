"""Replay of the default policy in many simulated worlds at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from laserve.config import PolicySettings
from laserve.lab.bench.traffic.worlds import FEATURES, TASKS, Floats, World
from laserve.lab.replay.learners import make_learners
from laserve.lab.replay.learning import FULL, PARTIAL, Mode, replay
from laserve.lab.replay.schedule import Schedule
from laserve.lab.replay.table import Table

#: Feedback -> what it teaches: a thumb the arm of the answer, right answers all arms.
FEEDBACK: dict[str, Mode] = {"thumbs": PARTIAL, "references": FULL}
#: Decisions in a block, over which gains are averaged.
BLOCK = 250


@dataclass(frozen=True, kw_only=True)
class Gains:
    """Expected thumbs up of the policy minus those of the best single arm of the world in hindsight."""

    #: Mean of each block of decisions of each world, shape (worlds, blocks).
    blocks: Floats

    @property
    def passes(self) -> int | None:
        """Learned decisions from which on the mean over worlds is above 0; None if it is not at the end."""
        return _lasting(self.blocks.mean(axis=0))

    @property
    def passes_by_world(self) -> list[int | None]:
        """The same for each world."""
        return [_lasting(row) for row in self.blocks]

    @property
    def even(self) -> int | None:
        """Learned decisions after which the sum over all decisions so far is above 0, mean over worlds."""
        return _lasting(self.blocks.mean(axis=0).cumsum())


def _lasting(means: Floats) -> int | None:
    """Decisions before the first block from which on all blocks are above 0."""
    below = np.flatnonzero(means <= 0)
    first = int(below[-1]) + 1 if len(below) else 0
    return first * BLOCK if first < len(means) else None


def play(worlds: Sequence[World], mode: Mode, settings: PolicySettings, on_step: Callable[[], None]) -> Gains:
    """Play the policy of the settings from a cold start, with feedback on every decision at once.

    Args:
        worlds: of equal size, at least one; the number of requests is a multiple of `BLOCK`.
        mode: the rewards that the policy gets.
        on_step: called after each request of all worlds.
    """
    table = _tabulate(worlds)
    (learner, *_) = make_learners([settings.name], settings, table)
    run = replay(table, learner, mode, _schedule(worlds), on_step)
    gains = [_gain(world, picked) for world, picked in zip(worlds, run.picked, strict=True)]
    return Gains(blocks=np.array(gains).reshape(len(worlds), -1, BLOCK).mean(axis=2))


def _gain(world: World, picked: Any) -> Floats:
    """Gain of each decision, shape (N,), in expectation, which varies less than the thumbs do."""
    value, every = world.value[world.task], np.arange(len(world.task))
    return np.asarray(value[every, picked] - value[every, value.mean(axis=0).argmax()])


def _tabulate(worlds: Sequence[World]) -> Table:
    """All requests of all worlds, one world after another."""
    rewards = np.vstack([world.thumb for world in worlds])
    count, arms = rewards.shape
    mean = rewards.mean(axis=1)
    return Table(
        ids=tuple(str(number) for number in range(count)),
        sources=tuple(str(number) for number in range(count)),
        tasks=tuple(TASKS[task] for world in worlds for task in world.task),
        metrics=("thumb",) * count,
        arms=tuple(f"arm-{number}" for number in range(arms)),
        free=np.zeros(arms, dtype=np.bool_),
        features=FEATURES,
        x=np.vstack([world.x for world in worlds]),
        rewards=rewards,
        available=np.ones(rewards.shape, dtype=np.bool_),
        ensemble_mean=mean,
        ensemble_rank=mean,
        best_candidate=mean,
        any_candidate=mean,
    )


def _schedule(worlds: Sequence[World]) -> Schedule:
    """Each world's own requests in their order; each replay is one world."""
    count, random = len(worlds[0].task), np.random.default_rng(0)
    shape = (len(worlds), len(worlds) * count)
    return Schedule(
        orders=np.arange(len(worlds) * count).reshape(len(worlds), count),
        draws=random.random(shape),
        seeds=random.integers(0, 2**64, shape, dtype=np.uint64),
        shadowed=np.ones(shape, dtype=np.bool_),
    )
