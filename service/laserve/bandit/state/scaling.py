"""LASeR's scaling of rewards by their own quantiles, made safe for equal quantiles.

Nguyen et al., 2025 (arXiv 2410.01735) scale what the bandit learns by the 20% and 80% quantiles of the
rewards so far. In their code (github.com/duykhuongnguyen/LASeR-MAB, `LinUCB.normalize_reward`):
r' = 0 below q20, 1 above q80, (r - q20) / (q80 - q20) between. Where q20 = q80 that code divides 0 by 0; the
weights of the played arm become NaN, and the policy plays this arm ever after.

Here, while q20 = q80, rewards are learned unscaled. That is safe: an unscaled reward lies in [0, 1] as a
scaled one does, and distinct rewards stay distinct, whereas a constant, for example 0.5, would teach that
good and bad rewards are equal. Rewards are also learned unscaled until there have been `ENOUGH` of them,
since quantiles of a few rewards are chance.

Scaling keeps the order of any two rewards, except that rewards beyond a quantile become equal. `blend` and
`classifier` learn from unscaled rewards: `blend` standardises qualities within a request, whatever their
unit, and `classifier` learns which arm was best.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Literal

from laserve.types import Event, Update

#: Steps from 0 to 1; rewards are rounded to the nearest step before they are counted, 0 and 1 to themselves.
STEPS = 100
#: Number of rewards before the first one is scaled: four of them lie beyond each quantile.
ENOUGH = 20


@dataclass(frozen=True)
class Scale:
    """Two quantiles that scale a decision's rewards; `high` is above `low`."""

    low: float
    high: float

    def of(self, reward: float) -> float:
        """clip((r - q20) / (q80 - q20), 0, 1), from a reward in [0, 1]."""
        return min(max((reward - self.low) / (self.high - self.low), 0.0), 1.0)

    def scaled(self, updates: Sequence[Update]) -> tuple[Update, ...]:
        """The updates with scaled rewards; `unscaled` keeps the earned reward of each."""
        return tuple(
            replace(update, reward=self.of(update.reward), unscaled=update.reward) for update in updates
        )


@dataclass(kw_only=True)
class RewardCounts:
    """Histogram of the learned rewards, for the quantiles.

    Counts are exact, so a reward that a correction takes back leaves no trace, and the histogram does not
    grow with the log. It covers the log's whole life, also with a discount.
    """

    #: Rewards that round to k / `STEPS`, shape (STEPS + 1,).
    counts: list[int] = field(default_factory=lambda: [0] * (STEPS + 1))

    @property
    def seen(self) -> int:
        return sum(self.counts)

    @property
    def scale(self) -> Scale | None:
        """Scale by the 20% and 80% quantiles; None where rewards are to be learned unscaled."""
        if self.seen < ENOUGH:
            return None
        low, high = self._quantile(1), self._quantile(4)
        return Scale(low, high) if low < high else None

    def follow(self, event: Event) -> None:
        """Count the rewards of an event, and remove those that it replaces."""
        for update in event.replaces:
            self._count(update, -1)
        for update in event.updates:
            self._count(update, 1)

    def copy(self) -> "RewardCounts":
        return RewardCounts(counts=list(self.counts))

    def _count(self, update: Update, sign: Literal[1, -1]) -> None:
        self.counts[int(update.earned * STEPS + 0.5)] += sign

    def _quantile(self, fifths: int) -> float:
        """Quantile at `fifths` / 5 (Hyndman & Fan, 1996, definition 1).

        It is computed in integers and never lies between two rewards, so every processor gets an equal
        result, and equal rewards have equal quantiles.
        """
        rank = fifths * self.seen
        return next(step for step, below in enumerate(accumulate(self.counts)) if 5 * below >= rank) / STEPS
