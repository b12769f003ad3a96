"""From what a client said of a decision to rewards of arms."""

from dataclasses import dataclass

from laserve import textmetrics
from laserve.errors import InvalidRequest
from laserve.types import Decision, Feedback, Update

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


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """A feedback in the unit that policies learn."""

    #: Reward of the returned answer, in [0, 1].
    reward: float
    #: A step for each arm whose reward is known, the arm that chose the answer among them.
    updates: tuple[Update, ...]
    #: Quality of each candidate, in [0, 1]; None where only the returned answer is spoken of.
    qualities: tuple[float, ...] | None = None


def resolve(feedback: Feedback, decision: Decision, reward_range: RewardRange = UNIT) -> Resolved:
    """Tell what a feedback says of each arm.

    A reward or a thumb speaks of the returned answer alone. The other kinds speak of every candidate, and so
    of every arm whose scores are known: its reward is that of the candidate it would have returned.

    Args:
        reward_range: what a reward may be, and stands for.

    Raises:
        InvalidRequest: the value does not fit the decision; the message names the field and the bound.
    """
    if feedback.kind in ("reward", "thumb"):
        reward = _said_of_returned(feedback, reward_range)
        played = () if decision.scored_by is None else (Update(arm=decision.scored_by, reward=reward),)
        return Resolved(reward=reward, updates=played)
    qualities = _qualities(feedback, decision, reward_range)
    return Resolved(
        reward=qualities[decision.index],
        updates=tuple(Update(arm=arm, reward=qualities[best]) for arm, best in decision.choices.items()),
        qualities=tuple(qualities),
    )


def candidate_rewards(
    feedback: Feedback, decision: Decision, reward_range: RewardRange = UNIT
) -> list[float | None]:
    """What a feedback says of each candidate, n numbers in [0, 1]; None where it says nothing of one.

    A reward or a thumb speaks of the returned answer, and so of every candidate with the same text.

    Args:
        reward_range: what a reward could be, and stood for, when it was said.

    Raises:
        InvalidRequest: the value does not fit the decision.
    """
    if feedback.kind in ("reward", "thumb"):
        returned = decision.same_text[decision.index]
        reward = _said_of_returned(feedback, reward_range)
        return [reward if same == returned else None for same in decision.same_text]
    return [*_qualities(feedback, decision, reward_range)]


def _said_of_returned(feedback: Feedback, reward_range: RewardRange) -> float:
    """What a reward or a thumb says of the returned answer, in [0, 1]."""
    value = float(feedback.value)
    return reward_range.unit(value, "reward") if feedback.kind == "reward" else value


def _qualities(feedback: Feedback, decision: Decision, reward_range: RewardRange) -> list[float]:
    match feedback.kind:
        case "chosen_index":
            return _chosen(int(feedback.value), decision)
        case "candidate_rewards":
            return _listed(list(feedback.value), decision, reward_range)
        case _:  # references
            return _measured(feedback, decision)


def _chosen(index: int, decision: Decision) -> list[float]:
    n = len(decision.candidates)
    if index >= n:
        raise InvalidRequest(
            f"chosen_index: {index} is out of range; the decision has {n} candidates, 0 to {n - 1}",
            param="chosen_index",
        )
    return [float(same == decision.same_text[index]) for same in decision.same_text]


def _listed(rewards: list[float], decision: Decision, reward_range: RewardRange) -> list[float]:
    n = len(decision.candidates)
    if len(rewards) != n:
        raise InvalidRequest(
            f"candidate_rewards: {len(rewards)} values; the decision has {n} candidates",
            param="candidate_rewards",
        )
    return [
        reward_range.unit(float(reward), f"candidate_rewards.{place}") for place, reward in enumerate(rewards)
    ]


def _measured(feedback: Feedback, decision: Decision) -> list[float]:
    if decision.retention != "full":
        raise InvalidRequest(
            "references: the candidates' texts of this decision are not kept (storage.retention is "
            f"{decision.retention!r} or storage.retention_days have passed); send candidate_rewards instead",
            param="references",
        )
    texts = {candidate.text for candidate in decision.candidates}
    quality = {text: textmetrics.best(feedback.metric, text, feedback.value) for text in texts}
    return [quality[candidate.text] for candidate in decision.candidates]
