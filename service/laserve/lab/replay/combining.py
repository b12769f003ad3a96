"""Replay of `blend`: all arms score every request, and learned weights on their z-scores pick the answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from laserve.bandit.policies.ensembles import weighted
from laserve.bandit.state.blending import Blending, Lesson
from laserve.lab.pools.pool import Pool, PoolQuestion
from laserve.lab.replay.learning import BLEND
from laserve.lab.replay.schedule import Schedule
from laserve.lab.replay.table import Mask, Matrix, Table, returned, some_scores
from laserve.types import Vector, task_label


@dataclass(frozen=True, kw_only=True)
class Combined:
    """Result of a combination."""

    name: str
    #: Quality of the answer at each position of each order, shape (O, N).
    rewards: Matrix


def combine(
    pool: Pool,
    table: Table,
    schedule: Schedule,
    on_step: Callable[[], None] = lambda: None,
    *,
    learned: Mask | None = None,
) -> Combined:
    """Let `blend` answer all questions in every order, each from a cold start.

    After each answer it learns the qualities of all candidates, since every candidate was scored.

    Args:
        pool: the pool that the table was made of.
        on_step: called after each position of the first order.
        learned: whether `blend` learns a question in an order, shape (O, N), by question; None for always.
    """
    declared = tuple(pool.recipe.context.get("context.tasks", ()))
    by_id = {f"{question.file}/{question.id}": question for question in pool.questions}
    scored = [_ScoredQuestion.of(pool, by_id[one], declared) for one in table.ids]
    rewards = np.empty(schedule.orders.shape)
    for order, questions in enumerate(schedule.orders):
        blending = Blending()
        for position, question in enumerate(questions):
            rewards[order, position] = scored[question].answer(blending)
            lesson = scored[question].lesson if learned is None or learned[order, question] else None
            if lesson is not None:
                blending.learn(lesson, 1)
            if order == 0:
                on_step()
    return Combined(name=BLEND, rewards=rewards)


@dataclass(frozen=True, kw_only=True)
class _ScoredQuestion:
    """A question, the scores of the arms that have any, and the lesson that `blend` learns from it."""

    question: PoolQuestion
    #: Label under which the weights are kept.
    task: str
    scores: Mapping[str, Vector]
    lesson: Lesson | None

    @classmethod
    def of(cls, pool: Pool, question: PoolQuestion, declared: tuple[str, ...]) -> "_ScoredQuestion":
        task, scores = task_label(question.task, declared), some_scores(pool, question)
        by_arm = {
            arm: [None if np.isnan(score) else float(score) for score in each] for arm, each in scores.items()
        }
        lesson = Lesson.of(task, by_arm, question.qualities.tolist())
        return cls(question=question, task=task, scores=scores, lesson=lesson)

    def answer(self, blending: Blending) -> float:
        arms = tuple(self.scores)
        weights = blending.weights(self.task, arms).tolist()
        return returned(weighted(self.scores, dict(zip(arms, weights, strict=True))), self.question)
