"""A policy that is looked at before it is let loose."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from laserve.bandit.policies.base import Policy, View
from laserve.types import Vector


@dataclass(frozen=True, kw_only=True)
class Observed:
    """One arm answers all but a share of the requests; on that share the policy's choice answers.

    The chances are those of the mixture, (1 - s) 1[a = arm] + s pi(a), so what is learned and what is
    evaluated off-policy stays exact while the share grows.
    """

    policy: Policy
    #: Name of the arm that answers.
    arm: str
    #: Share of the requests on which the policy answers, in [0, 1].
    live_share: float

    @property
    def name(self) -> str:
        return f"observe:{self.policy.name}"

    def probabilities(self, view: View, x: Vector, arms: Sequence[str], seed: int) -> Vector:
        """Where the arm is not eligible the policy answers."""
        live = self.policy.probabilities(view, x, arms, seed)
        if self.arm not in arms:
            return live
        answers = np.array([float(arm == self.arm) for arm in arms])
        return np.asarray((1 - self.live_share) * answers + self.live_share * live)
