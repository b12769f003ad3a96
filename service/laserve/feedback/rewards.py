"""The rewards of the arms, resolved from a client's feedback on a decision."""

from dataclasses import dataclass

from laserve import textmetrics
from laserve.errors import InvalidRequest
from laserve.types import Decision, Feedback, Update

#: Kinds of feedback whose numbers are in the unit of the reward range; the other kinds are in [0, 1].
_NUMBERS = ("reward", "candidate_rewards")


@dataclass(frozen=True)
class RewardRange:
    """The range of the rewards that clients send: `low` teaches 0, `high` teaches 1, linear in between.

    Args:
        low: finite.
        high: finite, above `low`.
    """

    low: float = 0.0
    high: float = 1.0

    def unit(self, reward: float, field: str) -> float:
        """(reward - low) / (high - low), in [0, 1].

        Args:
            reward: as the client sent it.
            field: name of the reward in the error.

        Raises:
            InvalidRequest: the reward is outside the range.
        """
        if not self.low <= reward <= self.high:
            raise InvalidRequest(
                f"{field}: {reward:.12g} is outside of feedback.reward_range, "
                f"{self.low:.12g} to {self.high:.12g}",
                param=field,
            )
        return (reward - self.low) / (self.high - self.low)

    def to_json(self, feedback: Feedback) -> dict[str, list[float]]:
        """The field of the range in a stored feedback, which stays readable when the setting changes.

        The field is left out where the kind has no numbers in that unit, or the range is [0, 1].
        """
        if feedback.kind not in _NUMBERS or self == UNIT:
            return {}
        return {"reward_range": [self.low, self.high]}


UNIT = RewardRange()


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """The rewards and qualities of a feedback, in the unit that policies learn."""

    #: Reward of the returned answer, in [0, 1].
    reward: float
    #: An update for each arm whose reward is known, including the arm that chose the answer.
    updates: tuple[Update, ...]
    #: Quality of each candidate, in [0, 1]; None where the feedback rates only the returned answer.
    qualities: tuple[float, ...] | None = None


def resolve(feedback: Feedback, decision: Decision, reward_range: RewardRange = UNIT) -> Resolved:
    """The rewards of the arms by a feedback.

    A reward or a thumb rates only the returned answer. The other kinds rate every candidate, and so every arm
    whose scores are known: the arm's reward is that of the candidate it would have returned.

    Args:
        reward_range: range of the rewards that clients send.

    Raises:
        InvalidRequest: the value does not fit the decision; the message names the field and the bound.
    """
    if feedback.kind in ("reward", "thumb"):
        reward = _returned_reward(feedback, reward_range)
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
    """The reward of each candidate by a feedback, n numbers in [0, 1]; None where a candidate is not rated.

    A reward or a thumb rates the returned answer, and so every candidate with the same text.

    Args:
        reward_range: range of the rewards when the client sent the feedback.

    Raises:
        InvalidRequest: the value does not fit the decision.
    """
    if feedback.kind in ("reward", "thumb"):
        returned = decision.same_text[decision.index]
        reward = _returned_reward(feedback, reward_range)
        return [reward if same == returned else None for same in decision.same_text]
    return [*_qualities(feedback, decision, reward_range)]


def _returned_reward(feedback: Feedback, reward_range: RewardRange) -> float:
    """The reward of the returned answer by a reward or a thumb, in [0, 1]."""
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
        reward_range.unit(float(reward), f"candidate_rewards.{index}") for index, reward in enumerate(rewards)
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
