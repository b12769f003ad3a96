"""Baselines of LASeR: a random arm, the arms in turn, one fixed arm."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from laserve.bandit.policies.base import View
from laserve.types import Vector


@dataclass(frozen=True)
class RandomArm:
    """Every arm with the same chance."""

    @property
    def name(self) -> str:
        return "random"

    def probabilities(self, view: View, x: Vector, arms: Sequence[str], seed: int) -> Vector:
        return np.full(len(arms), 1 / len(arms))


@dataclass(frozen=True)
class RoundRobin:
    """Each eligible arm in turn, by name.

    The turn counts the arms that this policy has drawn in one process. It starts at 0 with each process, and
    each replica counts its own.
    """

    @property
    def name(self) -> str:
        return "round-robin"

    def probabilities(self, view: View, x: Vector, arms: Sequence[str], seed: int) -> Vector:
        due = sorted(arms)[view.turn(self.name) % len(arms)]
        return np.array([float(arm == due) for arm in arms])


@dataclass(frozen=True)
class FixedArm:
    """One fixed arm: the baseline of a team that has picked one reward model by hand."""

    arm: str

    @property
    def name(self) -> str:
        return f"fixed:{self.arm}"

    def probabilities(self, view: View, x: Vector, arms: Sequence[str], seed: int) -> Vector:
        return np.array([float(arm == self.arm) for arm in arms])
