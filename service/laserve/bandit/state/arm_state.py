"""State of one arm, a part of the canonical state; elementwise float64 operations alone change it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from laserve.types import ArmStatus, Update, Vector


@dataclass(kw_only=True)
class ArmState:
    """Sums for the model of one arm, and counters.

    The discount and changes decay `S`, `b` and `loss`; the counters cover the arm's whole life.
    """

    #: Mean of the prior on theta, shape (d,).
    prior_mean: Vector
    #: Sum of w x x', shape (d, d).
    S: npt.NDArray[np.float64]
    #: Sum of w r x, shape (d,).
    b: Vector
    #: Sum of (1 - r) / propensity over the decisions that drew this arm, for `exp3`.
    loss: float = 0.0
    #: Learned decisions whose answer this arm chose.
    pulls: int = 0
    #: Rewards learned, those of answers that other arms chose included.
    updates: int = 0
    #: Sum of these rewards, unscaled.
    reward_sum: float = 0.0
    #: Whether the arm may be drawn, only finishes requests under way, or is retired.
    status: ArmStatus = "enabled"
    #: Settings to make the arm again, for an arm that was added at run time.
    settings: Mapping[str, Any] | None = None
    #: Fingerprint of its reward model; None while the log knows none.
    fingerprint: str | None = None

    @classmethod
    def fresh(cls, prior_mean: Vector, *, loss: float = 0.0) -> "ArmState":
        d = len(prior_mean)
        return cls(prior_mean=prior_mean, S=np.zeros((d, d)), b=np.zeros(d), loss=loss)

    def copy(self) -> "ArmState":
        return replace(self, S=self.S.copy(), b=self.b.copy())

    def expect(self, reward: float, n: float) -> None:
        """Add pseudo-observations: `n` requests with this reward, with no feature but the bias, feature 0."""
        self.S[0, 0] += n
        self.b[0] += n * reward

    @property
    def mean_reward(self) -> float | None:
        """Average of the rewards learned, unscaled; None before the first."""
        return self.reward_sum / self.updates if self.updates else None

    def learn(
        self,
        x: Vector,
        xx: npt.NDArray[np.float64],
        update: Update,
        *,
        sign: Literal[1, -1],
        kept: float = 1.0,
    ) -> None:
        """Add (or take back) one reward: S += w x x', b += w r x.

        Args:
            x: context, shape (d,).
            xx: x x', shape (d, d), computed once for all arms.
            update: the reward and its weight.
            sign: 1 to add, -1 to take back.
            kept: share of the decision's weight after the discount and changes, in [0, 1].
        """
        weight = sign * kept * update.weight
        self.S += xx if weight == 1.0 else weight * xx
        self.b += (weight * update.reward) * x
        self.updates += sign
        self.reward_sum += sign * update.earned

    def decay(self, factor: float) -> None:
        """Multiply the sums by a factor; the prior stays whole."""
        self.S *= factor
        self.b *= factor
        self.loss *= factor

    def change_model(self, kept: float, par: float) -> None:
        """Keep a share of the sums, since the arm's reward model was replaced.

        Losses of arms are compared with each other and grow with time, so a lower loss would be an undeserved
        lead. Therefore only the distance to `par`, at which a new arm begins, is multiplied by the share.

        Args:
            kept: the share, in [0, 1].
            par: least loss of the other arms.
        """
        self.S *= kept
        self.b *= kept
        self.loss = par + kept * (self.loss - par)

    def to_json(self) -> dict[str, Any]:
        """The arm's entry in the header of a snapshot, as JSON values.

        Fields that older versions did not have are omitted at their defaults, so that states of older logs
        keep their digests.
        """
        entry: dict[str, Any] = {"pulls": self.pulls, "updates": self.updates}
        if self.status != "enabled":
            entry["status"] = self.status
        if self.settings is not None:
            entry["settings"] = dict(self.settings)
        if self.loss != 0.0:
            entry["loss"] = self.loss
        if self.fingerprint is not None:
            entry["fingerprint"] = self.fingerprint
        return entry
