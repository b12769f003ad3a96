"""Play of policies in simulated worlds: the service's learner, with feedback as events of the log."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from laserve.bandit.policies.base import Policy, draw, noise, uniform
from laserve.bandit.policies.exploration import Exploration
from laserve.bandit.policies.registry import learners
from laserve.config import PolicySettings
from laserve.eventlog.learner import Learner
from laserve.lab.bench.bandit.worlds import ARMS, SCENARIOS, D, World, best_means, present
from laserve.types import Event, Update, Vector

#: The default exploration, but with a short initial phase.
_EXPLORATION = Exploration(epsilon=0.02, epsilon_start=0.1, epsilon_start_decisions=100)
_DISCOUNT = 0.99


@dataclass(frozen=True, kw_only=True)
class Player:
    """A policy, and the discount of its log."""

    name: str
    policy: Policy
    discount: float = 1.0


def players() -> list[Player]:
    """The learning policies with the default settings, and `linucb` once more with a discount."""
    settings = PolicySettings()
    made = learners(
        exploration=_EXPLORATION,
        alpha=settings.alpha,
        posterior_scale=settings.posterior_scale,
        posterior_draws=settings.posterior_draws,
        gap_scale=settings.gap_scale,
    )
    known = [Player(name=policy.name, policy=policy) for policy in made]
    return [known[0], Player(name="linucb discounted", policy=made[0], discount=_DISCOUNT), *known[1:]]


@dataclass(kw_only=True)
class _Play:
    """One policy in one world."""

    player: Player
    world: World
    learner: Learner = field(default_factory=lambda: Learner(seed=0))
    #: Pending feedback: number of the request at which it arrives, its own request, arm and propensity.
    pending: list[tuple[int, int, int, float]] = field(default_factory=list)

    def regret(self) -> Vector:
        world, regret = self.world, best_means(self.world)
        body = {
            "settings": {},
            "prior_diagonal": [1.0] * D,
            "discount": self.player.discount,
            "learn_from": None,
        }
        self._append("start", body=body)
        for number in range(len(world.x)):
            for arm in np.flatnonzero(world.available_from == number):
                self._join(ARMS[arm])
            chosen, chance = self._choose(number)
            regret[number] -= world.mean[number, chosen]
            if world.has_feedback[number, chosen]:
                when = number + int(world.delay[number])
                heapq.heappush(self.pending, (when, number, chosen, chance))
            while self.pending and self.pending[0][0] <= number:
                self._learn(*heapq.heappop(self.pending)[1:])
        return regret

    def _join(self, name: str) -> None:
        state = self.learner.state
        mean = self.learner.newcomer_mean() if state.decisions else np.eye(1, D)[0] * 0.5
        self._append("arm", body={"name": name, "prior_mean": mean.tolist()})

    def _choose(self, number: int) -> tuple[int, float]:
        """Index of the drawn arm, and its propensity."""
        arms = [arm for arm, joined in zip(ARMS, self.world.available_from <= number, strict=True) if joined]
        name, model = f"{number}", self.learner.model
        chances = self.player.policy.probabilities(model, self.world.x[number], arms, noise(0, name))
        index = draw(chances, uniform(0, name))
        return ARMS.index(arms[index]), float(chances[index])

    def _learn(self, number: int, arm: int, chance: float) -> None:
        reward = float(self.world.feedback[number, arm])
        body = {
            "kind": "reward",
            "played": ARMS[arm],
            "reward": reward,
            "drawn": ARMS[arm],
            "propensity": chance,
            "ordinal": self.learner.state.decisions + 1,
        }
        updates = (Update(arm=ARMS[arm], reward=reward),)
        self._append("feedback", x=self.world.x[number], updates=updates, body=body)

    def _append(self, kind: str, **changes: Any) -> None:
        position = self.learner.state.position + 1
        self.learner.apply([Event(position=position, kind=kind, created_at=0.0, **changes)])


def play(player: Player, world: World) -> Vector:
    """Regret of a policy at each request of a world, shape (T,)."""
    return _Play(player=player, world=world).regret()


def robustness(*, seeds: int, rounds: int, progress: Callable[[], None]) -> dict[str, Any]:
    """Cumulative regret of every policy in every scenario.

    Args:
        seeds: worlds of each scenario, common to all policies.
        rounds: requests in each world.
        progress: called after each policy in each world.

    Returns:
        Scenario -> ``what``, and ``policies``: name -> ``regret`` at the end (``mean``, and ``low`` and
        ``high`` between which the middle 80% of the worlds lie) and its ``curve``, these at some requests.
    """
    at = np.unique(np.linspace(0, rounds - 1, 41).astype(int))
    return {
        name: {
            "what": make.__doc__,
            "policies": {
                policy: _figures(np.array(curves)[:, at], at)
                for policy, curves in _curves(name, seeds, rounds, progress).items()
            },
        }
        for name, make in SCENARIOS.items()
    }


def _curves(name: str, seeds: int, rounds: int, progress: Callable[[], None]) -> dict[str, list[Vector]]:
    """Policy -> cumulative regret in each world, shape (T,)."""
    curves: dict[str, list[Vector]] = {}
    for seed in range(seeds):
        world = SCENARIOS[name](np.random.default_rng([seed, *name.encode()]), rounds)
        for player in players():
            curves.setdefault(player.name, []).append(play(player, world).cumsum())
            progress()
        arms = present(world)
        random = best_means(world) - np.where(arms, world.mean, 0).sum(axis=1) / arms.sum(axis=1)
        curves.setdefault("random", []).append(random.cumsum())
    return curves


def _figures(curves: Any, at: Any) -> dict[str, Any]:
    """Figures of cumulative regret, shape (seeds, points), at the requests `at`."""
    mean, (low, high) = curves.mean(axis=0), np.percentile(curves, [10, 90], axis=0)
    return {
        "regret": {"mean": float(mean[-1]), "low": float(low[-1]), "high": float(high[-1])},
        "curve": {
            "requests": (at + 1).tolist(),
            "mean": mean.tolist(),
            "low": low.tolist(),
            "high": high.tolist(),
        },
    }
