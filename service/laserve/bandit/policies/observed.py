"""A policy under observation: it answers a share of the requests, one fixed arm the others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from laserve.bandit.policies.base import Policy, View
from laserve.types import Vector


@dataclass(frozen=True, kw_only=True)
class Observed:
    """Mixture of one fixed arm and a policy: the policy answers the share s of the requests.

    The chances are those of the mixture, (1 - s) 1[a = arm] + s pi(a), so learning and off-policy evaluation
    stay exact while the share grows.
    """

    policy: Policy
    #: Name of the fixed arm.
    arm: str
    #: Share of the requests on which the policy answers, in [0, 1].
    live_share: float

    @property
    def name(self) -> str:
        return f"observe:{self.policy.name}"

    def probabilities(self, view: View, x: Vector, arms: Sequence[str], seed: int) -> Vector:
        """Chances of the mixture; the policy's own where the fixed arm is not eligible."""
        live = self.policy.probabilities(view, x, arms, seed)
        if self.arm not in arms:
            return live
        answers = np.array([float(arm == self.arm) for arm in arms])
        return np.asarray((1 - self.live_share) * answers + self.live_share * live)
