"""What the log says of one arm: part of the canonical state, in elementwise float64 operations alone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from laserve.types import ArmStatus, Update, Vector


@dataclass(kw_only=True)
class ArmState:
    """The sums that an arm's model is made of, and its counters.

    `S`, `b` and `loss` are worn by the discount and by changes; the counters are of the arm's whole life.
    """

    #: Mean of the prior on theta, shape (d,).
    prior_mean: Vector
    #: Sum of w x x', shape (d, d).
    S: npt.NDArray[np.float64]
    #: Sum of w r x, shape (d,).
    b: Vector
    #: Sum of (1 - r) / propensity over the decisions that drew this arm: what `exp3` learns from.
    loss: float = 0.0
    #: Learned decisions whose answer this arm chose.
    pulls: int = 0
    #: Rewards learned, those of answers that other arms chose included.
    updates: int = 0
    #: Sum of these rewards, unscaled.
    reward_sum: float = 0.0
    #: Whether it may be drawn, finishes what is under way, or is put away.
    status: ArmStatus = "enabled"
    #: How to make it anew, for an arm that was added at run time.
    settings: Mapping[str, Any] | None = None
    #: Of its reward model; None where the log has never known it.
    fingerprint: str | None = None

    @classmethod
    def fresh(cls, prior_mean: Vector, *, loss: float = 0.0) -> "ArmState":
        d = len(prior_mean)
        return cls(prior_mean=prior_mean, S=np.zeros((d, d)), b=np.zeros(d), loss=loss)

    def copy(self) -> "ArmState":
        return replace(self, S=self.S.copy(), b=self.b.copy())

    def expect(self, reward: float, n: float) -> None:
        """Pseudo-observations: as if `n` requests of nothing but the bias, feature 0, had earned this."""
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
            xx: x x', shape (d, d), made once for all arms.
            update: the reward and its weight.
            sign: 1 to add, -1 to take back.
            kept: what the discount and changes have left of the decision's weight, in [0, 1].
        """
        weight = sign * kept * update.weight
        self.S += xx if weight == 1.0 else weight * xx
        self.b += (weight * update.reward) * x
        self.updates += sign
        self.reward_sum += sign * update.earned

    def wear(self, discount: float) -> None:
        """Let everything learned so far count less, by that factor; the prior stays whole."""
        self.S *= discount
        self.b *= discount
        self.loss *= discount

    def change(self, kept: float, par: float) -> None:
        """Keep a share of what was learned, since another reward model has this arm's name.

        Losses are compared with those of other arms and grow with time, so to lose them would be a lead that
        nobody earned: the share is that of what lies above or below `par`, where an arm that is new begins.

        Args:
            kept: in [0, 1].
            par: least loss of the other arms.
        """
        self.S *= kept
        self.b *= kept
        self.loss = par + kept * (self.loss - par)

    def told(self) -> dict[str, Any]:
        """What a snapshot's header says of the arm, as JSON values.

        What an older version did not have is left out at its default, so that states of its logs keep their
        digest.
        """
        told: dict[str, Any] = {"pulls": self.pulls, "updates": self.updates}
        if self.status != "enabled":
            told["status"] = self.status
        if self.settings is not None:
            told["settings"] = dict(self.settings)
        if self.loss != 0.0:
            told["loss"] = self.loss
        if self.fingerprint is not None:
            told["fingerprint"] = self.fingerprint
        return told
