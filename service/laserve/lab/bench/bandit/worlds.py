"""Simulated worlds with feedback, from stationary to poisoned."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from laserve.types import Vector

ARMS = ("arm-0", "arm-1", "arm-2", "arm-3")
#: Features of a request: the constant, an indicator of a task, and four that vary.
D = 6
_TASK = 1
#: Deviation of the arms' weights, and the concentration of rewards around their mean (Beta).
_STRENGTH, _CONCENTRATION = 0.12, 3.0

Matrix = npt.NDArray[np.float64]
Random = np.random.Generator


@dataclass(frozen=True, kw_only=True)
class World:
    """A sequence of T requests, with the feedback that each of K arms would get."""

    #: Contexts, shape (T, D); the first feature is 1.
    x: Matrix
    #: Expected reward of each arm, shape (T, K), in [0, 1]; regret is measured in it.
    mean: Matrix
    #: Reward in the feedback if the arm answers, shape (T, K), in [0, 1].
    feedback: Matrix
    #: Whether there is feedback if the arm answers, shape (T, K).
    has_feedback: npt.NDArray[np.bool_]
    #: Requests until the feedback arrives, shape (T,), at least 0.
    delay: npt.NDArray[np.int64]
    #: First request at which each arm is available, shape (K,).
    available_from: npt.NDArray[np.int64]


def _contexts(random: Random, rounds: int) -> Matrix:
    x = random.normal(size=(rounds, D))
    x[:, 0], x[:, _TASK] = 1.0, 0.0
    return x


def _weights(random: Random) -> Matrix:
    """Weights of the arms' rewards, shape (K, D)."""
    return random.normal(scale=_STRENGTH, size=(len(ARMS), D))


def _expected(values: Matrix) -> Matrix:
    return np.clip(0.5 + values, 0.02, 0.98)


def _noisy(random: Random, mean: Matrix, concentration: float = _CONCENTRATION) -> Matrix:
    return random.beta(mean * concentration, (1 - mean) * concentration)


def _world(random: Random, x: Matrix, mean: Matrix) -> World:
    """A world with all arms available, and true feedback on every request at once."""
    return World(
        x=x,
        mean=mean,
        feedback=_noisy(random, mean),
        has_feedback=np.ones(mean.shape, dtype=np.bool_),
        delay=np.zeros(len(x), dtype=np.int64),
        available_from=np.zeros(len(ARMS), dtype=np.int64),
    )


def stationary(random: Random, rounds: int) -> World:
    """each arm has its strengths, and keeps them"""
    x = _contexts(random, rounds)
    return _world(random, x, _expected(x @ _weights(random).T))


def drifting(random: Random, rounds: int) -> World:
    """the arms' strengths turn into their opposite, a little with each request"""
    x, first, other = _contexts(random, rounds), _weights(random), _weights(random)
    turn = np.linspace(0, np.pi, rounds)[:, None]
    return _world(random, x, _expected(np.cos(turn) * (x @ first.T) + np.sin(turn) * (x @ other.T)))


def cold_start(random: Random, rounds: int) -> World:
    """from the middle on, half of the requests are of a task never seen before"""
    x, weights = _contexts(random, rounds), _weights(random)
    weights[:, _TASK] *= 3
    x[rounds // 2 :, _TASK] = random.random(rounds - rounds // 2) < 0.5
    return _world(random, x, _expected(x @ weights.T))


def sparse(random: Random, rounds: int) -> World:
    """feedback on one request in ten"""
    world = stationary(random, rounds)
    return replace(world, has_feedback=np.repeat(random.random((rounds, 1)) < 0.1, len(ARMS), axis=1))


def delayed(random: Random, rounds: int) -> World:
    """feedback comes 50 to 150 requests later"""
    return replace(stationary(random, rounds), delay=random.integers(50, 151, rounds))


def censored(random: Random, rounds: int) -> World:
    """bad answers are three times as likely to get feedback"""
    world = stationary(random, rounds)
    chance = np.where(world.feedback < 0.5, 0.6, 0.2)
    return replace(world, has_feedback=random.random((rounds, 1)) < chance)


def poisoned(random: Random, rounds: int) -> World:
    """one in ten raters gives 1 to the arm that is worst on average, and 0 to the others"""
    world = stationary(random, rounds)
    praised = np.arange(len(ARMS)) == world.mean.mean(axis=0).argmin()
    bought = random.random((rounds, 1)) < 0.1
    return replace(world, feedback=np.where(bought, praised.astype(np.float64), world.feedback))


def noisy_arm(random: Random, rounds: int) -> World:
    """the rewards of one arm are 0 or 1, with an unchanged mean"""
    world = stationary(random, rounds)
    feedback = world.feedback.copy()
    feedback[:, 0] = random.random(rounds) < world.mean[:, 0]
    return replace(world, feedback=feedback)


def late_arm(random: Random, rounds: int) -> World:
    """an arm that is better than the others joins in the middle"""
    x, weights = _contexts(random, rounds), _weights(random)
    weights[-1, 0] = weights[:-1, 0].max() + 0.15
    available_from = np.array([0] * (len(ARMS) - 1) + [rounds // 2])
    return replace(_world(random, x, _expected(x @ weights.T)), available_from=available_from)


SCENARIOS: dict[str, Callable[[Random, int], World]] = {
    "stationary": stationary,
    "drifting": drifting,
    "cold-start": cold_start,
    "sparse": sparse,
    "delayed": delayed,
    "censored": censored,
    "poisoned": poisoned,
    "noisy-arm": noisy_arm,
    "late-arm": late_arm,
}


def best_means(world: World) -> Vector:
    """Expected reward of the best available arm, shape (T,)."""
    return np.asarray(np.where(present(world), world.mean, -np.inf).max(axis=1))


def present(world: World) -> npt.NDArray[np.bool_]:
    """Whether each arm is available, shape (T, K)."""
    return np.asarray(np.arange(len(world.x))[:, None] >= world.available_from)
