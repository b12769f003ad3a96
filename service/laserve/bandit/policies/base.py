"""Protocols of a policy and of its view of the state, and the draw that all policies share."""

import hashlib
from collections.abc import Sequence
from typing import Protocol

from laserve.types import Vector


class View(Protocol):
    """A policy's view of the state: the statistics of each arm at one log position.

    Arrays have shape (len(arms),), float64, in the order of `arms`.
    """

    @property
    def decisions(self) -> int:
        """Decisions that the state has learned from."""

    @property
    def evidence(self) -> float:
        """Sum of the weights of these decisions; a discount lowers the weight of a decision below 1."""

    def means(self, x: Vector, arms: Sequence[str]) -> Vector:
        """Predicted rewards x . theta_k."""

    def widths(self, x: Vector, arms: Sequence[str]) -> Vector:
        """sqrt(x' A_k^-1 x), at least 0."""

    def counts(self, arms: Sequence[str]) -> Vector:
        """Sum of the weights of the rewards learned for each arm, at least 0."""

    def averages(self, arms: Sequence[str]) -> Vector:
        """Weighted average of the rewards learned for each arm, in [0, 1]; 0 for an arm without any."""

    def losses(self, arms: Sequence[str]) -> Vector:
        """Sums of (1 - reward) / propensity over the decisions that drew the arm, at least 0."""

    def preferences(self, x: Vector, arms: Sequence[str]) -> Vector:
        """Chance that each arm is the best one, sum 1, learned from decisions with all rewards known."""

    def turn(self, policy: str) -> int:
        """Number of arms that the policy of this name has drawn from this view."""


class Policy(Protocol):
    """A rule that chooses the arm of a request."""

    @property
    def name(self) -> str:
        """Name in settings and requests, for example ``linucb`` or ``fixed:loglik``."""

    def probabilities(self, view: View, x: Vector, arms: Sequence[str], seed: int) -> Vector:
        """Chance of drawing each arm.

        Equal arguments give equal chances; the order of the arms sets only the order of the result.

        Args:
            view: the state to choose by; the policy changes nothing in it.
            x: context, shape (d,).
            arms: the eligible arms, at least one.
            seed: random seed of a policy that samples, in [0, 2^64), see `noise`; other policies ignore it.

        Returns:
            Shape (len(arms),), float64, not negative, sum 1; all 0 where the policy can choose none of the
            arms.
        """


def uniform(seed: int, decision_id: str, attempt: int = 0) -> float:
    """Pseudo-random number in [0, 1), a function of its arguments alone.

    Decision ids differ, so replicas do not explore in lockstep; any draw can be replayed.
    """
    return (_hash(seed, decision_id, str(attempt)) >> 11) / 2**53


def noise(seed: int, decision_id: str) -> int:
    """Seed of a policy's own sampling for one decision, in [0, 2^64).

    The seed is independent of `uniform`, so chances that a policy samples hold for the draw that follows.
    """
    return _hash(seed, decision_id, "policy")


def draw(probabilities: Vector, u: float) -> int:
    """Index by the inverse of the cumulative distribution.

    Args:
        probabilities: shape (K,), sum 1.
        u: in [0, 1).
    """
    chances, below = probabilities.tolist(), 0.0
    for index, chance in enumerate(chances):
        below += chance
        if u < below:
            return index
    # By rounding, the chances may sum to a little less than 1.
    return max(index for index, chance in enumerate(chances) if chance > 0)


def _hash(seed: int, decision_id: str, purpose: str) -> int:
    digest = hashlib.sha256(f"{seed}:{decision_id}:{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "big")
