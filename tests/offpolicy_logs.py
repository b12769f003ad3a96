"""Logs for tests of off-policy evaluation."""

from dataclasses import replace
from typing import Any

import numpy as np

from laserve.bandit.offpolicy.estimators import OffPolicyLog

ARMS = ("loglik", "consensus", "judge")


def make_log(**changes: Any) -> OffPolicyLog:
    """Two decisions over three arms; in the second, which is shadowed, the first two arms agree."""
    arrays: dict[str, Any] = {
        "arms": ARMS,
        "x": [[1.0, 0.5], [1.0, -0.5]],
        "drawn": [1, 0],
        "logged": [[0.5, 0.3, 0.2], [0.5, 0.1, 0.4]],
        "reward": [1.0, 0.25],
        "winners": [[-1, 2, -1], [0, 0, 3]],
        "returned": [2, 0],
        "shadowed": [False, True],
        "clusters": ["bridge", "river"],
    } | changes
    arms = arrays.pop("arms")
    return OffPolicyLog(arms=arms, **{name: np.asarray(array) for name, array in arrays.items()})


def sample_log(
    *, rows: int, seed: int = 0, arms: int = 4, epsilon: float = 0.4, shadow_share: float = 0.5
) -> tuple[OffPolicyLog, np.ndarray]:
    """An epsilon-greedy log of requests with four texts, a few to a cluster, and the chances of a target."""
    generator = np.random.default_rng(seed)
    every = np.arange(rows)
    x = np.column_stack([np.ones(rows), generator.normal(size=(rows, 2))])
    logged = np.full((rows, arms), epsilon / arms)
    logged[every, generator.integers(arms, size=rows)] += 1 - epsilon
    drawn = (logged.cumsum(axis=1) <= generator.random(rows)[:, None]).sum(axis=1)
    winners = generator.integers(4, size=(rows, arms))
    reward = np.clip(0.2 + 0.2 * winners + generator.normal(scale=0.1, size=(rows, arms)), 0, 1)
    shadowed = generator.random(rows) < shadow_share
    known = shadowed[:, None] | (np.arange(arms) == drawn[:, None])
    log = OffPolicyLog(
        arms=tuple(f"arm-{index}" for index in range(arms)),
        x=x,
        drawn=drawn,
        logged=logged,
        reward=reward[every, drawn],
        winners=np.where(known, winners, -1),
        returned=winners[every, drawn],
        shadowed=shadowed,
        clusters=generator.integers(max(1, rows // 5), size=rows),
    )
    return log, generator.dirichlet(np.full(arms, 2.0), size=rows)


def changed(log: OffPolicyLog, **arrays: Any) -> OffPolicyLog:
    return replace(log, **{name: np.asarray(array) for name, array in arrays.items()})


def always(log: OffPolicyLog, arm: int) -> np.ndarray:
    """Chances of the policy that draws one arm only."""
    return np.eye(len(log.arms))[np.full(len(log), arm)]
