"""Builders of small tables for tests of the replay: every argument has a default."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from laserve.lab.replay.table import Table


def make_table(rewards: Any, *, seed: int = 0, d: int = 3, **changes: Any) -> Table:
    """A table of these rewards, shape (N, K); x is the bias and d - 1 random features."""
    rewards = np.asarray(rewards, dtype=np.float64)
    count, arms = rewards.shape
    features = np.random.default_rng(seed).normal(size=(count, d - 1))
    given: dict[str, Any] = {
        "ids": tuple(f"q{index}" for index in range(count)),
        "sources": tuple(f"s{index}" for index in range(count)),
        "tasks": ("qa",) * count,
        "metrics": ("f1",) * count,
        "arms": tuple("abcdefgh"[:arms]),
        "free": np.zeros(arms, dtype=np.bool_),
        "features": ("bias", *(f"embedding:{index}" for index in range(d - 1))),
        "x": np.hstack([np.ones((count, 1)), features]),
        "rewards": rewards,
        "available": np.ones((count, arms), dtype=np.bool_),
        "ensemble_mean": rewards.mean(axis=1),
        "ensemble_rank": rewards.mean(axis=1),
        "best_candidate": rewards.max(axis=1),
        "any_candidate": rewards.mean(axis=1),
    }
    return Table(**given | changes)


def two_tasks(count: int, *, arms: Sequence[Sequence[float]] = ((0.9, 0.1), (0.1, 0.9))) -> Table:
    """Half the questions are of each task, which x shows; `arms` are the tasks' mean rewards by arm."""
    task = np.arange(count) % 2
    x = np.stack([np.ones(count), task, 1.0 - task], axis=1)
    noise = np.random.default_rng(1).uniform(-0.1, 0.1, size=(count, len(arms[0])))
    return make_table(
        np.asarray(arms)[task] + noise,
        x=x,
        features=("bias", "task:b", "task:a"),
        tasks=tuple("ab"[one] for one in task),
    )
