"""The policy's protocol, what a policy may look at, and the draw that every policy shares."""

import hashlib
from collections.abc import Sequence
from typing import Protocol

from laserve.types import Vector


class View(Protocol):
    """What a policy may look at: what is known of each arm, as of one log position.

    Arrays have shape (len(arms),), float64, in the order of the arms asked for.
    """

    @property
    def decisions(self) -> int:
        """Decisions that the state has learned from."""

    @property
    def evidence(self) -> float:
        """The same, each decision as much as it still counts: less than 1 once a discount has worn it."""

    def means(self, x: Vector, arms: Sequence[str]) -> Vector:
        """Predicted rewards x . theta_k."""

    def widths(self, x: Vector, arms: Sequence[str]) -> Vector:
        """sqrt(x' A_k^-1 x), at least 0."""

    def counts(self, arms: Sequence[str]) -> Vector:
        """Rewards learned of each arm, as much as they still count, at least 0."""

    def averages(self, arms: Sequence[str]) -> Vector:
        """Average of these rewards, in [0, 1]; 0 where there is none."""

    def losses(self, arms: Sequence[str]) -> Vector:
        """Sums of (1 - reward) / propensity over the decisions that drew the arm, at least 0."""

    def preferences(self, x: Vector, arms: Sequence[str]) -> Vector:
        """Chance that the arm is the best one, sum 1, by decisions of which every reward is known."""

    def turn(self, policy: str) -> int:
        """How many arms the policy of that name has drawn from this view so far."""


class Policy(Protocol):
    """Chooses the arm of a request."""

    @property
    def name(self) -> str:
        """Name by which settings and requests call it, such as ``linucb`` or ``fixed:loglik``."""

    def probabilities(self, view: View, x: Vector, arms: Sequence[str], seed: int) -> Vector:
        """Chance of drawing each arm.

        The same arguments give the same chances, and another order of the arms gives them in that order.

        Args:
            view: the state to choose by; nothing in it is changed.
            x: context, shape (d,).
            arms: the eligible arms, at least one.
            seed: of a policy that samples, in [0, 2^64), see `noise`; the others do not look at it.

        Returns:
            Shape (len(arms),), float64, not negative, sum 1 unless no eligible arm can be chosen, then all 0.
        """


def uniform(seed: int, decision_id: str, attempt: int = 0) -> float:
    """A number in [0, 1) that depends on nothing but its arguments.

    Replicas never explore in lockstep, since ids differ, and any draw can be replayed.
    """
    return (_hash(seed, decision_id, str(attempt)) >> 11) / 2**53


def noise(seed: int, decision_id: str) -> int:
    """Seed of what a policy samples for one decision, in [0, 2^64).

    It is independent of `uniform`, so the chances that a policy samples hold for the draw that follows them.
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
    return max(
        index for index, chance in enumerate(chances) if chance > 0
    )  # they sum to a little less than 1


def _hash(seed: int, decision_id: str, use: str) -> int:
    digest = hashlib.sha256(f"{seed}:{decision_id}:{use}".encode()).digest()
    return int.from_bytes(digest[:8], "big")
