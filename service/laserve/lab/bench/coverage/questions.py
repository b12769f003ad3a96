"""Simulated questions about sources: qualities of arms, and comparisons of models, whose truth is known."""

import numpy as np
from scipy.special import expit
from scipy.stats import beta, norm

from laserve.lab.bench.coverage.policies import Floats

#: Strengths of the models that are compared, and the deviation of a model's strength by source.
MODELS = np.linspace(-1.0, 1.0, 5)
_BY_SOURCE = 1.0
#: Standard deviation of the qualities.
_SPREAD = 0.43
#: Shares of the variance: of the source, of the source for one arm, and of the question. The correlation
#: within a source is the sum of the first two.
_SOURCE, _SOURCE_OF_ARM, _QUESTION = 0.1, 0.1, 0.3
#: Questions about a source: mean, and standard deviation of the logarithm.
_PER_SOURCE, _UNEQUAL = 12, 0.7
#: Normal quantiles at which the qualities' distribution is tabulated.
_GRID = np.linspace(-4.5, 4.5, 4001)


class Qualities:
    """Qualities of the answers of several arms, with known means, correlated within sources and questions.

    Each quality has a Beta distribution, mostly near 0 or 1 as F1 is.

    Args:
        means: mean quality of each arm, shape (K,).
    """

    def __init__(self, means: Floats) -> None:
        size = means * (1 - means) / _SPREAD**2 - 1
        self._table = beta.ppf(norm.cdf(_GRID)[:, None], means * size, (1 - means) * size)

    def sums(self, rng: np.random.Generator, sources: int) -> tuple[Floats, Floats]:
        """Sums of the qualities by arm and source, shape (K, C), and numbers of questions, (C,)."""
        arms = self._table.shape[1]
        logs = _UNEQUAL * rng.normal(size=sources) - _UNEQUAL**2 / 2
        questions = np.maximum(1, np.round(_PER_SOURCE * np.exp(logs))).astype(int)
        of = np.repeat(np.arange(sources), questions)
        alone = 1 - _SOURCE - _SOURCE_OF_ARM - _QUESTION
        normal = (
            np.sqrt(_SOURCE) * rng.normal(size=(sources, 1))[of]
            + np.sqrt(_SOURCE_OF_ARM) * rng.normal(size=(sources, arms))[of]
            + np.sqrt(_QUESTION) * rng.normal(size=(len(of), 1))
            + np.sqrt(alone) * rng.normal(size=(len(of), arms))
        )
        values = [
            np.interp(column, _GRID, table) for column, table in zip(normal.T, self._table.T, strict=True)
        ]
        return np.array([np.bincount(of, weights=one) for one in values]), questions.astype(np.float64)


def wins_by_source(rng: np.random.Generator, sources: int) -> Floats:
    """Wins of each model (row) over each other one (column) by source, shape (C, models, models)."""
    models = len(MODELS)
    of = np.repeat(np.arange(sources), 1 + rng.poisson(2, size=sources))
    logits = (MODELS + _BY_SOURCE * rng.normal(size=(sources, models)))[of]
    first = rng.integers(models, size=len(of))
    second = (first + rng.integers(1, models, size=len(of))) % models
    every = np.arange(len(of))
    won = rng.random(len(of)) < expit(logits[every, first] - logits[every, second])
    wins = np.zeros((sources, models, models))
    np.add.at(wins, (of, np.where(won, first, second), np.where(won, second, first)), 1.0)
    return wins


def expected_wins() -> Floats:
    """Chance of each model (row) to win over each other one (column), the diagonal 0."""
    points, weights = np.polynomial.hermite_e.hermegauss(80)
    gap = MODELS[:, None] - MODELS[None, :]
    spread = np.sqrt(2.0) * _BY_SOURCE * points
    chance = (expit(gap[..., None] + spread) * weights).sum(axis=-1) / weights.sum()
    return np.asarray(chance * (1 - np.eye(len(MODELS))), dtype=np.float64)
