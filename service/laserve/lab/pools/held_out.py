"""Rows that arms were trained on; an arm must not score its training rows."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from laserve.errors import ConfigError
from laserve.lab.pools.pool import Pool, PoolArm, PoolQuestion
from laserve.types import Vector

#: Why a question is left out of a pool.
REASON = "an arm was trained on it"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Arm -> ids or sources of the rows that it was trained on."""

    rows: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def has(self, arm: str, *, id: str, source: str) -> bool:  # noqa: A002 - as rows call it
        """Whether the arm was trained on a row with this id, or on one of the same source."""
        return not self.rows.get(arm, frozenset()).isdisjoint((id, source))

    def check(self, arms: Collection[str]) -> None:
        """Raise ConfigError if an arm is unknown: with a wrong name, an arm would score its training rows."""
        for arm in self.rows:
            if arm not in arms:
                raise ConfigError.at("--trained-on", f"no arm {arm!r}; there are: {', '.join(arms)}")

    @classmethod
    def read(cls, path: Path) -> "Seen":
        """``{arm: [ids or sources]}`` as JSON. Raises ConfigError when the file has another form."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            rows = {arm: frozenset(map(_text, names)) for arm, names in content.items()}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise ConfigError.at(
                "--trained-on", f"{path}: needs {{arm: [ids or sources]}}: {error}"
            ) from error
        return cls(rows=rows)


def held_out(pool: Pool, seen: Seen) -> Pool:
    """The questions that no arm of the pool was trained on; the others are counted.

    Raises:
        ConfigError: no question is left.
    """
    trained = frozenset(
        question.key
        for question in pool.questions
        if any(seen.has(arm, id=question.id, source=question.source) for arm in pool.arms)
    )
    kept = pool.leaving_out(REASON, trained)
    if pool.questions and not kept.questions:
        raise ConfigError.at("--trained-on", "every question was seen by some arm in its training")
    return kept


def cross_fitted(pool: Pool, name: str, parts: Sequence[str], seen: Seen) -> Pool:
    """A pool in which one arm replaces several arms (parts) that were trained alike, on different rows.

    Each question has the scores of the first part that was not trained on it, or none if all parts were.
    Scales of scores may differ between parts; within a question all scores come from one part.

    Raises:
        ConfigError: a part is not in the pool, or another arm has the name.
    """
    for part in parts:
        if part not in pool.arms:
            raise ConfigError.at(
                "--cross-fit", f"no arm {part!r} in the pool; there are: {', '.join(pool.arms)}"
            )
    if name in set(pool.arms) - set(parts):
        raise ConfigError.at("--cross-fit", f"{name!r} is another arm of the pool")
    first = next(arm for arm in pool.recipe.arms if arm.name == parts[0])
    whole = PoolArm(
        name=name, kind=first.kind, options={**first.options, "cross_fit": list(parts)}, free=first.free
    )
    kept = tuple(arm for arm in pool.recipe.arms if arm.name not in parts)
    questions = tuple(
        replace(
            question,
            scores={arm.name: question.scores[arm.name] for arm in kept}
            | {name: _unseen(question, parts, seen)},
        )
        for question in pool.questions
    )
    return replace(pool, recipe=replace(pool.recipe, arms=(*kept, whole)), questions=questions)


def _unseen(question: PoolQuestion, parts: Sequence[str], seen: Seen) -> Vector:
    """Scores by the first part that was not trained on the question; all NaN if every part was."""
    for part in parts:
        if not seen.has(part, id=question.id, source=question.source):
            return question.scores[part]
    return np.full(len(question.qualities), np.nan)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"an id or a source is a text, not {type(value).__name__}")
    return value
