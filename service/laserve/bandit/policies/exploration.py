"""What the learning policies share: the greedy choice, and the share of uniform draws beside it."""

from dataclasses import dataclass

import numpy as np

from laserve.types import Vector


def greedy(values: Vector) -> Vector:
    """All chance to the largest of the values, split evenly between those that tie; shape (K,), sum 1."""
    numbers = values.tolist()
    best = max(numbers)
    share = 1 / numbers.count(best)
    return np.array([share if number == best else 0.0 for number in numbers])


@dataclass(frozen=True, kw_only=True)
class Exploration:
    """A share epsilon of the draws is uniform over the eligible arms, whatever the policy prefers."""

    #: The share in the long run, in [0, 1].
    epsilon: float
    #: The same for the first `epsilon_start_decisions` learned decisions.
    epsilon_start: float
    epsilon_start_decisions: int

    def share(self, decisions: int) -> float:
        """Epsilon in force after so many learned decisions."""
        return self.epsilon_start if decisions < self.epsilon_start_decisions else self.epsilon

    def mix(self, preferred: Vector, decisions: int) -> Vector:
        """(1 - epsilon) preferred + epsilon / K.

        Args:
            preferred: what the policy would do by itself, shape (K,), sum 1.
            decisions: learned so far.
        """
        epsilon = self.share(decisions)
        mixed: Vector = (1 - epsilon) * preferred + epsilon / len(preferred)
        return mixed
