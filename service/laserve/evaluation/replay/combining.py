"""Learned combinations of the arms over a pool: all arms score, and weights on their z-scores choose."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from laserve.bandit.blending import Blending, Lesson
from laserve.evaluation.pools import Pool, PoolQuestion
from laserve.evaluation.replay.schedule import Schedule
from laserve.evaluation.replay.table import Matrix, Table, returned, standardised
from laserve.types import Vector

#: The policy that combines arms.
BLEND = "blend"


class Combiner(Protocol):
    """Weights of the arms' scores, learned from candidates of known quality."""

    def weights(self, task: str, arms: tuple[str, ...]) -> Vector:
        """Weight of each arm's z-score, shape (len(arms),)."""

    def learn(self, task: str, scores: Mapping[str, Vector], qualities: Vector) -> None:
        """One request: each arm's scores and the candidates' qualities, all of shape (n,)."""


class Blend:
    """The service's own (`laserve.bandit.blending`)."""

    def __init__(self) -> None:
        self._blending = Blending()

    def weights(self, task: str, arms: tuple[str, ...]) -> Vector:
        return self._blending.weights(task, arms)

    def learn(self, task: str, scores: Mapping[str, Vector], qualities: Vector) -> None:
        told = {arm: [None if np.isnan(one) else float(one) for one in each] for arm, each in scores.items()}
        lesson = Lesson.of(task, told, qualities.tolist())
        if lesson is not None:
            self._blending.learn(lesson, 1)


@dataclass(frozen=True, kw_only=True)
class Combined:
    """What a combination was worth."""

    name: str
    #: Quality of its answer at each position of each order, shape (O, N).
    rewards: Matrix


def combine(
    pool: Pool,
    table: Table,
    schedule: Schedule,
    *,
    name: str,
    make: Callable[[], Combiner],
    advanced: Callable[[], None] = lambda: None,
) -> Combined:
    """Let a combination answer all questions in every order, each from a cold start.

    It learns the qualities of all candidates after each answer, since it had them all scored.

    Args:
        pool: that the table is of.
        make: a combination that has learned nothing.
        advanced: called after each position of an order, for the first of all orders.
    """
    by_id = {f"{question.file}/{question.id}": question for question in pool.questions}
    asked = [_Asked.of(by_id[one], pool.arms) for one in table.ids]
    rewards = np.empty(schedule.orders.shape)
    for order, questions in enumerate(schedule.orders):
        combiner = make()
        for position, question in enumerate(questions):
            rewards[order, position] = asked[question].answer(combiner)
            asked[question].teach(combiner)
            if order == 0:
                advanced()
    return Combined(name=name, rewards=rewards)


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A question, with the scores of the arms that have some."""

    question: PoolQuestion
    scores: Mapping[str, Vector]
    #: Z-scores, shape (arms, n).
    z: Matrix

    @classmethod
    def of(cls, question: PoolQuestion, arms: tuple[str, ...]) -> "_Asked":
        scores = {arm: question.scores[arm] for arm in arms if not np.isnan(question.scores[arm]).all()}
        return cls(
            question=question, scores=scores, z=np.array([standardised(one) for one in scores.values()])
        )

    def answer(self, combiner: Combiner) -> float:
        """Quality of the candidate with the largest weighted sum of z-scores; one that is NaN counts as 0."""
        weights = combiner.weights(self.question.task, tuple(self.scores))
        return returned(weights @ np.nan_to_num(self.z), self.question)

    def teach(self, combiner: Combiner) -> None:
        combiner.learn(self.question.task, self.scores, self.question.qualities)
