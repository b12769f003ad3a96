"""LASeR's baselines: a random arm, one fixed arm."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from laserve.bandit.base import LinearView
from laserve.types import Vector


@dataclass(frozen=True)
class RandomArm:
    """Every arm with the same chance."""

    @property
    def name(self) -> str:
        return "random"

    def probabilities(self, view: LinearView, x: Vector, arms: Sequence[str]) -> Vector:
        return np.full(len(arms), 1 / len(arms))


@dataclass(frozen=True)
class FixedArm:
    """Always the same arm: what a team does that picked one reward model by hand."""

    arm: str

    @property
    def name(self) -> str:
        return f"fixed:{self.arm}"

    def probabilities(self, view: LinearView, x: Vector, arms: Sequence[str]) -> Vector:
        return np.array([float(arm == self.arm) for arm in arms])
