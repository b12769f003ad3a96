"""The policy's protocol, and the draw that every policy shares."""

import hashlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from laserve.types import Vector


class LinearView(Protocol):
    """What a policy may look at: each arm's linear model of the reward, as of one log position."""

    @property
    def decisions(self) -> int:
        """Decisions that the state has learned from."""

    def means(self, x: Vector, arms: Sequence[str]) -> Vector:
        """Predicted rewards x . theta_k, shape (len(arms),)."""

    def widths(self, x: Vector, arms: Sequence[str]) -> Vector:
        """sqrt(x' A_k^-1 x), shape (len(arms),)."""


class Policy(Protocol):
    """Chooses the arm of a request."""

    @property
    def name(self) -> str:
        """Name by which settings and requests call it, such as ``linucb`` or ``fixed:loglik``."""

    def probabilities(self, view: LinearView, x: Vector, arms: Sequence[str]) -> Vector:
        """Chance of drawing each arm.

        Args:
            view: the state to choose by.
            x: context, shape (d,).
            arms: the eligible arms, at least one.

        Returns:
            Shape (len(arms),), float64, not negative, sum 1 unless no eligible arm can be chosen, then all 0.
        """


def uniform(seed: int, decision_id: str, attempt: int = 0) -> float:
    """A number in [0, 1) that depends on nothing but its arguments.

    Replicas never explore in lockstep, since ids differ, and any draw can be replayed.
    """
    digest = hashlib.sha256(f"{seed}:{decision_id}:{attempt}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def draw(probabilities: Vector, u: float) -> int:
    """Index by the inverse of the cumulative distribution.

    Args:
        probabilities: shape (K,), sum 1.
        u: in [0, 1).
    """
    index = int(np.searchsorted(np.cumsum(probabilities), u, side="right"))
    return min(index, int(np.flatnonzero(probabilities)[-1]))
