"""Simulated requests whose answers users rate, with reward models that are better at some tasks."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from laserve.context.features import BIAS, SCALED

TASKS = ("one", "two", "three", "four", "five")
CANDIDATES = 8
#: Components of the question's embedding, of unit norm, as in the service.
_EMBEDDING = 32
FEATURES = (
    BIAS,
    *(f"task:{task}" for task in TASKS),
    *SCALED,
    *(f"embedding:{row}" for row in range(_EMBEDDING)),
)
#: Mean correlation of an arm's scores with the candidates' quality, and the bounds of any one.
_CORRELATION, _LEAST, _MOST = 0.45, -0.2, 0.95
#: Share of thumbs up for an average candidate as log-odds, and deviations of these over requests and over
#: the candidates of one request: 0.73 thumbs up on average.
_LOG_ODDS, _OVER_REQUESTS, _OVER_CANDIDATES = 1.2, 0.8, 0.8

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class World:
    """N requests, and what each of K arms would earn on them."""

    #: Contexts, shape (N, d), with the features `FEATURES`.
    x: Floats
    #: Index of the task of each request, shape (N,).
    task: Integers
    #: Chance of a thumb up for the answer that each arm would return, shape (N, K).
    chance: Floats
    #: That thumb, 1 for up, shape (N, K).
    thumb: Floats

    @property
    def value(self) -> Floats:
        """Expected share of thumbs up of each arm on each task, shape (tasks, K)."""
        return np.array([self.chance[self.task == task].mean(axis=0) for task in range(len(TASKS))])

    @property
    def gap(self) -> float:
        """Share of thumbs up by the best arm of each task, minus that by the best single arm."""
        shares = np.bincount(self.task, minlength=len(TASKS)) / len(self.task)
        return float(shares @ self.value.max(axis=1) - (shares @ self.value).max())


def make_world(random: np.random.Generator, *, arms: int, requests: int, spread: float) -> World:
    """A world whose tasks are equally frequent.

    Each request has `CANDIDATES` candidates, and an arm returns the one with its highest score. The
    correlation of an arm's scores with the log-odds of a thumb up is drawn for each task.

    Args:
        arms: number of arms K.
        requests: number of requests N, enough that each task has some.
        spread: standard deviation of the correlations over arms and tasks.
    """
    correlation = np.clip(_CORRELATION + spread * random.normal(size=(len(TASKS), arms)), _LEAST, _MOST)
    task = np.arange(requests) % len(TASKS)
    random.shuffle(task)
    quality = random.normal(size=(requests, CANDIDATES))
    noise = random.normal(size=(requests, arms, CANDIDATES))
    rho = correlation[task][:, :, None]
    returned = (rho * quality[:, None, :] + np.sqrt(1 - rho**2) * noise).argmax(axis=2)
    odds = _LOG_ODDS + _OVER_REQUESTS * random.normal(size=(requests, 1)) + _OVER_CANDIDATES * quality
    chance = np.take_along_axis(1 / (1 + np.exp(-odds)), returned, axis=1)
    # Equal answers of a request get equal thumbs.
    up = random.random((requests, CANDIDATES)) < 1 / (1 + np.exp(-odds))
    return World(
        x=_contexts(random, task),
        task=task,
        chance=chance,
        thumb=np.take_along_axis(up, returned, axis=1).astype(np.float64),
    )


def _contexts(random: np.random.Generator, task: Integers) -> Floats:
    embedding = random.normal(size=(len(task), _EMBEDDING))
    return np.column_stack(
        [
            np.ones(len(task)),
            np.eye(len(TASKS))[task],
            random.normal(size=(len(task), len(SCALED))),
            embedding / np.linalg.norm(embedding, axis=1, keepdims=True),
        ]
    )
