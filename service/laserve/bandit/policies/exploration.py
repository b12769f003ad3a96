"""The greedy choice and the uniform exploration that the learning policies share."""

from dataclasses import dataclass

import numpy as np

from laserve.types import Vector


def greedy(values: Vector) -> Vector:
    """Chances that lie on the largest value, split evenly between ties; shape (K,), sum 1."""
    numbers = values.tolist()
    largest = max(numbers)
    share = 1 / numbers.count(largest)
    return np.array([share if number == largest else 0.0 for number in numbers])


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """A share epsilon of the draws is uniform over the eligible arms, whatever the policy prefers."""

    #: Share after the first `epsilon_start_decisions` learned decisions, in [0, 1].
    epsilon: float
    #: Share for the first `epsilon_start_decisions` learned decisions, in [0, 1].
    epsilon_start: float
    epsilon_start_decisions: int

    def share(self, decisions: int) -> float:
        """Epsilon in force after this number of learned decisions."""
        return self.epsilon_start if decisions < self.epsilon_start_decisions else self.epsilon

    def mix(self, preferred: Vector, decisions: int) -> Vector:
        """(1 - epsilon) preferred + epsilon / K.

        Args:
            preferred: the policy's own chances, shape (K,), sum 1.
            decisions: number of learned decisions.
        """
        epsilon = self.share(decisions)
        mixed: Vector = (1 - epsilon) * preferred + epsilon / len(preferred)
        return mixed
