"""A pool as arrays: what each way to choose a candidate is worth on each question."""

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
    """N questions and K arms; all qualities in [0, 1]."""

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
    #: Quality of the answer that each arm would have returned, shape (N, K). Where an arm has no scores, the
    #: mean of those that have: the service draws one of them in its place.
    rewards: Matrix
    #: Whether an arm has scores, shape (N, K); in each row at least one has.
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
        """The questions of a task, or of a metric, shape (N,)."""
        rows = zip(self.tasks, self.metrics, strict=True)
        return np.array([task in (None, one) and metric in (None, other) for one, other in rows])


def tabulate(pool: Pool) -> Table:
    """The questions of a pool that some arm has scores of.

    Raises:
        ConfigError: there is none.
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

    Ties go to the higher mean log-probability, then to the lower index, as in the service; where the
    log-probabilities are not known, it is the mean over the tie.

    Args:
        scores: shape (n,), NaN for candidates that are out; one at least is not.
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
    """Scores of the arms that have some."""
    return {arm: question.scores[arm] for arm in pool.arms if not np.isnan(question.scores[arm]).all()}


def _rewards(pool: Pool, question: PoolQuestion) -> Vector:
    available = _available(pool, question)
    rewards = np.full(len(available), np.nan)
    for index in np.flatnonzero(available):
        rewards[index] = returned(question.scores[pool.arms[index]], question)
    return np.where(available, rewards, np.nanmean(rewards))
