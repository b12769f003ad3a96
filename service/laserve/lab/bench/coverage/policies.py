"""LinUCB in many logs at once, for simulations; equal to that of `laserve.bandit`."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
#: Contexts, shape (..., d) -> chances of the arms, shape (..., K).
Policy = Callable[[Floats], Floats]

ALPHA, EPSILON = 0.5, 0.1
#: Prior mean reward of every arm.
_START = 0.5


def evenly(arms: int) -> Policy:
    """Policy with equal chances of all arms."""
    return lambda x: np.full((*x.shape[:-1], arms), 1 / arms)


def draw(chances: Floats, u: Floats) -> Integers:
    """Arms by the inverse of the cumulative distribution, shape (...), from (..., K) and u in [0, 1)."""
    drawn = (chances.cumsum(axis=-1) <= u[..., None]).sum(axis=-1)
    return np.asarray(np.minimum(drawn, chances.shape[-1] - 1))


class Learners:
    """L independent LinUCBs of K arms, with ridge 1 and 0.5 on the constant, the first feature."""

    def __init__(self, *, logs: int, arms: int, features: int) -> None:
        #: A_k^-1 of each, shape (L, K, d, d).
        self.inverse = np.broadcast_to(np.eye(features), (logs, arms, features, features)).copy()
        #: Shape (L, K, d).
        self.theta = np.zeros((logs, arms, features))
        self.theta[..., 0] = _START

    def play(self, x: Floats, rewards: Floats, generator: np.random.Generator) -> tuple[Floats, Integers]:
        """Choose an arm and learn its reward, for each request in turn.

        Args:
            x: contexts, shape (L, N, d).
            rewards: reward of each arm, shape (L, N, K).
            generator: generator of the draws.

        Returns:
            Chances, shape (L, N, K), and drawn arms, shape (L, N).
        """
        chances, drawn = np.empty(rewards.shape), np.empty(rewards.shape[:2], dtype=np.int64)
        numbers, every = generator.random(drawn.shape), np.arange(len(x))
        for step in range(x.shape[1]):
            now = x[:, step]
            ax = (self.inverse @ now[:, None, :, None])[..., 0]
            chances[:, step] = _greedy(_dot(self.theta, now), _dot(ax, now), EPSILON)
            drawn[:, step] = arms = draw(chances[:, step], numbers[:, step])
            self._learn(now, arms, ax[every, arms], rewards[every, step, arms])
        return chances, drawn

    def frozen(self, epsilon: float) -> Policy:
        """The present policy of the first log, with exploration `epsilon`."""
        theta, inverse = self.theta[0].copy(), self.inverse[0].copy()

        def policy(x: Floats) -> Floats:
            square = np.einsum("...i,kij,...j->...k", x, inverse, x, optimize=True)
            return _greedy(x @ theta.T, square, epsilon)

        return policy

    def _learn(self, x: Floats, arms: Integers, ax: Floats, reward: Floats) -> None:
        """A Sherman-Morrison step of the drawn arm in each log; `ax` is A^-1 x, shape (L, d)."""
        every = np.arange(len(x))
        gain = 1 / (1 + (ax * x).sum(axis=-1))
        missed = reward - (self.theta[every, arms] * x).sum(axis=-1)
        self.theta[every, arms] += (gain * missed)[:, None] * ax
        self.inverse[every, arms] -= gain[:, None, None] * ax[:, :, None] * ax[:, None, :]


def _greedy(mean: Floats, square: Floats, epsilon: float) -> Floats:
    """Chances from means and x' A^-1 x, shapes (..., K); arms that tie share the greedy part."""
    bound = mean + ALPHA * np.sqrt(np.maximum(square, 0.0))
    best = bound == bound.max(axis=-1, keepdims=True)
    return np.asarray((1 - epsilon) * best / best.sum(axis=-1, keepdims=True) + epsilon / mean.shape[-1])


def _dot(rows: Floats, x: Floats) -> Floats:
    """Dot products, shape (L, K), from (L, K, d) and (L, d)."""
    return np.asarray((rows * x[:, None, :]).sum(axis=-1))
