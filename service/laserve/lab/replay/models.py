"""Linear models of the arms' rewards in several replays at once."""

import numpy as np
import numpy.typing as npt

from laserve.lab.replay.table import Matrix
from laserve.types import Vector


class LinearModels:
    """`laserve.bandit.state.linear.LinearModel` of K arms in each of O replays, with equal means and widths.

    theta_k = A_k^-1 (Lambda mu + b_k), A_k = Lambda + S_k, S_k the sum of x x'. Without a discount, theta
    and A^-1 are updated by rank-one steps; with a discount every decision changes every arm, and all A_k are
    inverted again.

    Args:
        ridge: the diagonal of Lambda, shape (d,), positive.
        mean: prior mean mu of every arm, shape (d,).
        discount: factor by which each decision reduces the weight of all earlier ones, in (0, 1].
    """

    def __init__(
        self, *, replays: int, arms: int, ridge: Vector, mean: Vector, discount: float = 1.0
    ) -> None:
        d = len(ridge)
        self._ridge, self._mean, self._discount = ridge, mean, discount
        #: S and b; used only with a discount.
        self._gram, self._moment = np.zeros((replays, arms, d, d)), np.zeros((replays, arms, d))
        self._inverse = np.tile(np.diag(1.0 / ridge), (replays, arms, 1, 1))
        self._theta = np.tile(mean, (replays, arms, 1))
        #: Decisions that each replay has learned, and the sum of their discounted weights.
        self.decisions, self.evidence = 0, 0.0
        #: Number of rewards learned of each arm, and their sum, shape (O, K).
        self.counts, self.sums = np.zeros((replays, arms)), np.zeros((replays, arms))
        if self._inverse.shape != (replays, arms, d, d):
            raise ValueError(f"ridge and mean have shapes {ridge.shape} and {mean.shape}")

    def begin_decision(self) -> None:
        """Begin a learned decision in every replay: discount earlier ones, not the prior."""
        self.decisions += 1
        self.evidence = self._discount * self.evidence + 1.0
        if self._discount < 1.0:
            for sums in (self._gram, self._moment, self.counts, self.sums):
                np.multiply(sums, self._discount, out=sums)

    def add_prior(self, arm: int, reward: float, n: float) -> None:
        """Add n pseudo-observations with this reward, whose only feature is the bias, feature 0.

        They are added in every replay; to be called before anything is learned.
        """
        replays, count, d = np.arange(len(self.counts)), len(self.counts), self._theta.shape[-1]
        bias = np.tile(np.sqrt(n) * np.eye(d)[0], (count, 1))
        self.learn(replays, np.full(count, arm), bias, np.full(count, np.sqrt(n) * reward))
        self.counts[:, arm], self.sums[:, arm] = n, n * reward

    def predict(self, x: Matrix) -> tuple[Matrix, Matrix]:
        """Means x . theta_k and widths sqrt(x' A_k^-1 x), each of shape (O, K).

        Args:
            x: context of each replay, shape (O, d).
        """
        means = np.matmul(self._theta, x[:, :, None])[..., 0]
        spread = np.matmul(self._inverse, x[:, None, :, None])[..., 0]
        widths = np.sqrt(np.maximum(np.matmul(spread, x[:, :, None])[..., 0], 0.0))
        return means, widths

    def learn(
        self,
        replays: npt.NDArray[np.intp],
        arms: npt.NDArray[np.intp],
        x: Matrix,
        rewards: Vector,
    ) -> None:
        """Learn one reward in each given model.

        Args:
            replays, arms: indices of the models that learn, shape (m,); no pair is repeated.
            x: context of each reward, shape (m, d).
            rewards: in [0, 1], shape (m,).
        """
        self.counts[replays, arms] += 1
        self.sums[replays, arms] += rewards
        if self._discount < 1.0:
            self._gram[replays, arms] += x[:, :, None] * x[:, None, :]
            self._moment[replays, arms] += rewards[:, None] * x
            self._rebuild()
        else:
            self._step(replays, arms, x, rewards)

    def _step(
        self, replays: npt.NDArray[np.intp], arms: npt.NDArray[np.intp], x: Matrix, rewards: Vector
    ) -> None:
        """Sherman-Morrison, with a = A^-1 x: A^-1 -= aa' / (1 + x'a), theta += a(r - x'theta) / (1 + x'a)."""
        inverse, theta = self._inverse[replays, arms], self._theta[replays, arms]
        spread = np.matmul(inverse, x[:, :, None])[..., 0]
        scale = 1.0 + (spread * x).sum(axis=1)
        surprise = rewards - (theta * x).sum(axis=1)
        self._inverse[replays, arms] = inverse - (spread / scale[:, None])[:, :, None] * spread[:, None, :]
        self._theta[replays, arms] = theta + spread * (surprise / scale)[:, None]

    def _rebuild(self) -> None:
        """Invert all models."""
        self._inverse[:] = np.linalg.inv(np.diag(self._ridge) + self._gram)
        towards = self._ridge * self._mean + self._moment
        self._theta = np.matmul(self._inverse, towards[..., None])[..., 0]
