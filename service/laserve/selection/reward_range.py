"""The unit in which clients say rewards, and the way from it to [0, 1]."""

from dataclasses import dataclass

from laserve.errors import InvalidRequest
from laserve.types import Feedback

#: Kinds of feedback whose numbers are in that unit; the others speak of right and wrong.
_NUMBERS = ("reward", "candidate_rewards")


@dataclass(frozen=True)
class RewardRange:
    """Rewards of `low` teach 0, rewards of `high` teach 1, and those between in proportion.

    Args:
        low: finite.
        high: finite, above `low`.
    """

    low: float = 0.0
    high: float = 1.0

    def unit(self, reward: float, field: str) -> float:
        """(reward - low) / (high - low), in [0, 1].

        Args:
            reward: as it was said.
            field: what to call it.

        Raises:
            InvalidRequest: it is outside the range.
        """
        if not self.low <= reward <= self.high:
            raise InvalidRequest(
                f"{field}: {reward:.12g} is outside of feedback.reward_range, "
                f"{self.low:.12g} to {self.high:.12g}",
                param=field,
            )
        return (reward - self.low) / (self.high - self.low)

    def of(self, feedback: Feedback) -> dict[str, list[float]]:
        """What a stored feedback must say of its unit, so that it can be read when the setting has changed.

        Nothing where its kind has no numbers in that unit, or they are in [0, 1] anyway.
        """
        if feedback.kind not in _NUMBERS or self == UNIT:
            return {}
        return {"reward_range": [self.low, self.high]}


UNIT = RewardRange()
