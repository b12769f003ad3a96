"""Reader of a row's answers and their qualities, in one of three forms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: The columns of each form.
PAIR = ("chosen", "rejected")
JUDGED = ("responses", "correct")
REWARDED = ("candidates", "rewards")
#: The three forms, for error messages.
EXPECTED = "chosen and rejected, responses and correct, or candidates and rewards"


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Texts of answers to one request, and their qualities."""

    texts: tuple[str, ...]
    #: Quality of each text, in [0, 1].
    rewards: tuple[float, ...]
    #: Total log-probability of each text by the model that wrote it, in nats; empty if one is not known.
    logprobs: tuple[float, ...] = ()


def read(row: Mapping[str, Any]) -> Answers:
    """Answers of a row, in the first of the three forms that the row has.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the row has another form.
    """
    if (pair := chosen_and_rejected(row)) is not None:
        return pair
    if "responses" in row:
        return judged(row["responses"], row["correct"])
    return rewarded(row["candidates"], row["rewards"])


def chosen_and_rejected(row: Mapping[str, Any]) -> Answers | None:
    """The pair of a row, of qualities 1 and 0; None if the row has no ``chosen``.

    Raises:
        KeyError, TypeError: ``rejected`` is missing, or one of the two is not a text.
    """
    if "chosen" not in row:
        return None
    return Answers(texts=(text(row["chosen"]), text(row["rejected"])), rewards=(1.0, 0.0))


def judged(responses: Sequence[Any], correct: Sequence[Any]) -> Answers:
    """Right answers, of quality 1, and wrong ones, of quality 0. Raises TypeError or ValueError."""
    pairs = list(zip(responses, correct, strict=True))
    return Answers(
        texts=tuple(text(response) for response, _ in pairs),
        rewards=tuple(float(bool(right)) for _, right in pairs),
    )


def rewarded(candidates: Sequence[Any], rewards: Sequence[Any]) -> Answers:
    """The candidates that have a reward; there may be none.

    Args:
        candidates: objects with ``text``, and optionally ``logprob``.
        rewards: one for each candidate, 0..1; None if not known.

    Raises:
        KeyError, TypeError, ValueError: the candidates or rewards have another form.
    """
    known = [
        (candidate, float(reward))
        for candidate, reward in zip(candidates, rewards, strict=True)
        if reward is not None
    ]
    if any(not 0 <= reward <= 1 for _, reward in known):
        raise ValueError("rewards must be in 0..1")
    logprobs = tuple(float(candidate["logprob"]) for candidate, _ in known if "logprob" in candidate)
    return Answers(
        texts=tuple(text(candidate["text"]) for candidate, _ in known),
        rewards=tuple(reward for _, reward in known),
        logprobs=logprobs if len(logprobs) == len(known) else (),
    )


def text(value: object) -> str:
    """The value, which must be a text. Raises TypeError otherwise."""
    if not isinstance(value, str):
        raise TypeError(f"an answer is a text, not {type(value).__name__}")
    return value
