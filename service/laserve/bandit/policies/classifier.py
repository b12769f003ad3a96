"""A policy on a classification of x by best arm."""

from collections.abc import Sequence
from dataclasses import dataclass

from laserve.bandit.policies.base import View
from laserve.bandit.policies.exploration import Exploration, greedy
from laserve.types import Vector


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """Plays the arm that is most likely the best one, by a classifier of the best arm.

    The classifier learns only from decisions with all rewards known; before its first fit all arms are
    equally likely.
    """

    exploration: Exploration

    @property
    def name(self) -> str:
        return "classifier"

    def probabilities(self, view: View, x: Vector, arms: Sequence[str], seed: int) -> Vector:
        return self.exploration.mix(greedy(view.preferences(x, arms)), view.decisions)
