"""Orders and random draws of a replay, common to all policies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from laserve.bandit.policies.base import uniform
from laserve.lab.replay.table import Mask, Matrix

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """O orders of N questions, with their draws; policies that are compared share one schedule."""

    #: Question at each position of each order, shape (O, N).
    orders: Indices
    #: Uniform number that draws the arm of a question in each order, in [0, 1), shape (O, N), by question.
    draws: Matrix
    #: Seed for a policy that samples, in [0, 2^64), shape (O, N), by question.
    seeds: npt.NDArray[np.uint64]
    #: Whether all arms score a question in an order, shape (O, N), by question.
    shadowed: Mask

    @classmethod
    def make(cls, ids: Sequence[str], *, orders: int, shadow_share: float, seed: int) -> "Schedule":
        """Random orders; draws are hashes of order and question, in the service of the decision's id.

        Args:
            ids: ids of the questions.
            shadow_share: expected share of the questions that all arms score, in [0, 1].
        """
        rng = np.random.default_rng(seed)
        return cls(
            orders=np.array([rng.permutation(len(ids)) for _ in range(orders)]),
            draws=_hashed(seed, "draw", orders, ids),
            seeds=(_hashed(seed, "policy", orders, ids) * 2.0**64).astype(np.uint64),
            shadowed=_hashed(seed, "shadow", orders, ids) < shadow_share,
        )

    @property
    def replays(self) -> int:
        return len(self.orders)

    @property
    def late(self) -> Mask:
        """Whether a position is in the last third, shape (N,)."""
        count = self.orders.shape[1]
        return np.asarray(np.arange(count) >= count - max(count // 3, 1))


def _hashed(seed: int, what: str, orders: int, ids: Sequence[str]) -> Matrix:
    return np.array([[uniform(seed, f"{what}/{order}/{one}") for one in ids] for order in range(orders)])
