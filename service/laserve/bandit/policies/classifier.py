"""The policy that plays the arm which a classification of x prefers."""

from collections.abc import Sequence
from dataclasses import dataclass

from laserve.bandit.policies.base import View
from laserve.bandit.policies.exploration import Exploration, greedy
from laserve.types import Vector


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """Plays the arm that is most likely the best one, by what decisions with all rewards known have shown.

    It learns from these alone; before the first fit every arm is as likely.
    """

    exploration: Exploration

    @property
    def name(self) -> str:
        return "classifier"

    def probabilities(self, view: View, x: Vector, arms: Sequence[str], seed: int) -> Vector:
        return self.exploration.mix(greedy(view.preferences(x, arms)), view.decisions)
