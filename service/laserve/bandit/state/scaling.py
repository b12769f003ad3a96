"""LASeR's scaling of rewards by their own quantiles, safe where these are one.

Nguyen et al., 2025 (arXiv 2410.01735) scale what the bandit learns by the 20% and 80% quantiles of the
rewards so far. As their code has it (github.com/duykhuongnguyen/LASeR-MAB, `LinUCB.normalize_reward`):
r' = 0 below q20, 1 above q80, (r - q20) / (q80 - q20) between. Where q20 = q80 that code divides 0 by 0; the
weights of the arm that was played then are no numbers, and it is played ever after.

Here such a reward is learned as it is. That is safe: it lies in [0, 1] as a scaled one does, and keeps
apart what is apart, where a constant such as 0.5 would teach that good and bad are the same. It is also what
is done until `ENOUGH` rewards were seen, since the quantiles of a few are chance.

Scaling keeps the order of any two rewards, except that those beyond a quantile become equal. What `blend`
and `classifier` learn is not scaled: the one standardises qualities within a request, whatever their unit,
the other asks which arm was best.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Literal

from laserve.types import Event, Update

#: Steps from 0 to 1; rewards are rounded to the nearest before they are counted, 0 and 1 stay what they are.
STEPS = 100
#: Rewards that must have been seen before any is scaled: four of them beyond each quantile.
ENOUGH = 20


@dataclass(frozen=True)
class Scale:
    """The quantiles that a decision's rewards are scaled by; `high` is above `low`."""

    low: float
    high: float

    def of(self, reward: float) -> float:
        """clip((r - q20) / (q80 - q20), 0, 1), from a reward in [0, 1]."""
        return min(max((reward - self.low) / (self.high - self.low), 0.0), 1.0)

    def scaled(self, updates: Sequence[Update]) -> tuple[Update, ...]:
        """The updates as they are learned; each still tells the reward that was earned."""
        return tuple(
            replace(update, reward=self.of(update.reward), unscaled=update.reward) for update in updates
        )


@dataclass(kw_only=True)
class RewardCounts:
    """How often each reward was learned: what the quantiles are of.

    Counts are exact, so what a correction takes back leaves no trace, and they do not grow with the log. They
    are of the log's whole life, also with a discount.
    """

    #: Rewards that round to k / `STEPS`, shape (STEPS + 1,).
    counts: list[int] = field(default_factory=lambda: [0] * (STEPS + 1))

    @property
    def seen(self) -> int:
        return sum(self.counts)

    @property
    def scale(self) -> Scale | None:
        """By the 20% and 80% quantiles; None where rewards are to be learned as they are."""
        if self.seen < ENOUGH:
            return None
        low, high = self._quantile(1), self._quantile(4)
        return Scale(low, high) if low < high else None

    def follow(self, event: Event) -> None:
        """Count what an event teaches, in place of what it replaces."""
        for update in event.replaces:
            self._count(update, -1)
        for update in event.updates:
            self._count(update, 1)

    def copy(self) -> "RewardCounts":
        return RewardCounts(counts=list(self.counts))

    def _count(self, update: Update, sign: Literal[1, -1]) -> None:
        self.counts[int(update.earned * STEPS + 0.5)] += sign

    def _quantile(self, fifths: int) -> float:
        """Least reward that so many fifths of all do not exceed (Hyndman & Fan, 1996, definition 1).

        In integers, and never between two rewards: the same on every processor, and one for equal rewards.
        """
        wanted = fifths * self.seen
        return next(step for step, below in enumerate(accumulate(self.counts)) if 5 * below >= wanted) / STEPS
