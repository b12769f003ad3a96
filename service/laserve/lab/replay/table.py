"""A pool as arrays: quality of the answer of each arm and ensemble on each question."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from laserve.bandit.policies.ensembles import mean_of_ranks, mean_of_scores
from laserve.errors import ConfigError
from laserve.lab.pools.pool import Pool, PoolQuestion
from laserve.types import Vector

Matrix = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Arrays over N questions and K arms; all qualities are in [0, 1]."""

    ids: tuple[str, ...]
    sources: tuple[str, ...]
    tasks: tuple[str, ...]
    metrics: tuple[str, ...]
    arms: tuple[str, ...]
    #: Whether an arm's scores cost nothing, shape (K,).
    free: Mask
    #: Name of each feature of x.
    features: tuple[str, ...]
    #: Contexts, shape (N, d).
    x: Matrix
    #: Quality of the answer that each arm would have returned, shape (N, K). For an arm without scores, the
    #: mean over the arms with scores, since the service draws one of these instead.
    rewards: Matrix
    #: Whether an arm has scores, shape (N, K); at least one arm in each row.
    available: Mask
    #: Quality of the answers of the two ensembles, shape (N,).
    ensemble_mean: Vector
    ensemble_rank: Vector
    #: Quality of the best candidate, and of a random one, shape (N,).
    best_candidate: Vector
    any_candidate: Vector

    def __len__(self) -> int:
        return len(self.ids)

    def where(self, *, task: str | None = None, metric: str | None = None) -> Mask:
        """Mask of the questions of a task, of a metric, or of both, shape (N,)."""
        rows = zip(self.tasks, self.metrics, strict=True)
        return np.array([task in (None, one) and metric in (None, other) for one, other in rows])


def tabulate(pool: Pool) -> Table:
    """Table of the questions for which at least one arm has scores.

    Raises:
        ConfigError: there is no question with scores.
    """
    kept = [question for question in pool.questions if _available(pool, question).any()]
    if not kept:
        raise ConfigError.at("--pool", "no question has scores of any arm")
    available = np.array([_available(pool, question) for question in kept])
    return Table(
        ids=tuple(f"{question.file}/{question.id}" for question in kept),
        sources=tuple(question.source for question in kept),
        tasks=tuple(question.task for question in kept),
        metrics=tuple(question.metric for question in kept),
        arms=pool.arms,
        free=np.array([arm.free for arm in pool.recipe.arms]),
        features=pool.recipe.features,
        x=np.array([question.x for question in kept]),
        rewards=np.array([_rewards(pool, question) for question in kept]),
        available=available,
        ensemble_mean=np.array([returned(mean_of_scores(some_scores(pool, one)), one) for one in kept]),
        ensemble_rank=np.array([returned(mean_of_ranks(some_scores(pool, one)), one) for one in kept]),
        best_candidate=np.array([question.qualities.max() for question in kept]),
        any_candidate=np.array([question.qualities.mean() for question in kept]),
    )


def returned(scores: Vector, question: PoolQuestion) -> float:
    """Quality of the answer with the best score.

    Ties go to the higher mean log-probability, then to the lower index, as in the service; if the
    log-probabilities are not known, the result is the mean over the tie.

    Args:
        scores: shape (n,), NaN for excluded candidates; at least one is not NaN.
    """
    tied = np.flatnonzero(scores == np.nanmax(scores))
    if np.isnan(question.logprobs[tied]).any() or not any(question.tokens):
        return float(question.qualities[tied].mean())
    tokens = np.asarray(question.tokens)[tied]
    mean = np.where(tokens > 0, question.logprobs[tied] / np.maximum(tokens, 1), -np.inf)
    return float(question.qualities[tied[mean.argmax()]])


def _available(pool: Pool, question: PoolQuestion) -> Mask:
    return np.array([not np.isnan(question.scores[arm]).all() for arm in pool.arms])


def some_scores(pool: Pool, question: PoolQuestion) -> dict[str, Vector]:
    """Scores of the arms that have any."""
    return {arm: question.scores[arm] for arm in pool.arms if not np.isnan(question.scores[arm]).all()}


def _rewards(pool: Pool, question: PoolQuestion) -> Vector:
    available = _available(pool, question)
    rewards = np.full(len(available), np.nan)
    for index in np.flatnonzero(available):
        rewards[index] = returned(question.scores[pool.arms[index]], question)
    return np.where(available, rewards, np.nanmean(rewards))
