"""Rankings of the models that wrote the answers: by people, and by a reward model."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.special import expit

from laserve.lab.statistics import around, resampled_weights
from laserve.types import Vector

Matrix = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

#: Resamples of the strengths.
RESAMPLES = 1000
#: Number of models that a ranking needs, and of opponents that a row of the win rates needs: with two, every
#: correlation is 1 or -1.
AT_LEAST = 3
#: Precision of the normal prior on a strength: its standard deviation is about three logits, so that a model
#: that never loses stays finite and twenty comparisons outweigh it.
_PRECISION = 0.1
#: Longest step of Newton's method; shorter steps cannot overshoot.
_LONGEST = 0.5
#: Decimals of a strength; smaller differences are rounding errors.
_DECIMALS = 9


@dataclass(frozen=True, kw_only=True)
class Battles:
    """Comparisons of two models' answers, as people and as a reward model decided them."""

    models: tuple[str, ...]
    #: Index in `models` of the first answer's model, and of the second's; shape (battles,), never the same.
    first: Indices
    second: Indices
    #: 1 where the first answer won, 0 where the second did, 0.5 for a tie; shape (battles,), float64.
    people: Vector
    scorer: Vector
    #: Number of the row's source; shape (battles,).
    source: Indices

    def wins(self, outcome: Vector, weight: Vector | None = None) -> Matrix:
        """Wins of each model (row) over each other one (column), a tie half a win; shape (models, models)."""
        count = len(self.models)
        won, lost = (outcome, 1 - outcome) if weight is None else (weight * outcome, weight * (1 - outcome))
        there = np.bincount(self.first * count + self.second, weights=won, minlength=count**2)
        back = np.bincount(self.second * count + self.first, weights=lost, minlength=count**2)
        return np.asarray(there + back, dtype=np.float64).reshape(count, count)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Agreement of the rankings by people and by a reward model; None for figures in `missing`."""

    #: Mean over models of the Pearson correlation between a model's win rates against the others by people
    #: and by the reward model, -1..1.
    row_pearson: float | None = None
    #: Rank correlations of the Bradley-Terry strengths, -1..1; Kendall's is tau-b.
    spearman: float | None = None
    kendall: float | None = None
    #: Share of model pairs whose 95% intervals by the reward model do not overlap, 0..1.
    separability: float | None = None
    #: Mean over the pairs that people separate with 95% confidence: 1 where the reward model separates them
    #: in the same order, -1 in the other order, 0 where it does not separate them.
    confidence_agreement: float | None = None
    #: Mean squared error of the chance, by the reward model's resamples, that the first is stronger, 0..1.
    rank_brier: float | None = None
    missing: Mapping[str, str] = field(default_factory=dict)


def compare(battles: Battles) -> Agreement:
    """Agreement of the two rankings.

    Separability, confidence agreement and `rank_brier` are Arena-Hard's (arXiv 2406.11939, section 3:
    separability with confidence, agreement with confidence interval, pair rank Brier score). Agreement is
    averaged over the pairs that people separate, not over all, so that the best value is 1. The intervals of
    the strengths are those of `laserve.lab.statistics.around`, whose coverage is measured there, not
    Arena-Hard's percentiles, which are too short with few sources; people and reward model have common draws.

    The figures themselves have no intervals: a correlation or a share of few models is far from normal, and
    a resample of the sources leaves the choice of the models, which is most of its uncertainty, unchanged.
    """
    if len(battles.models) < AT_LEAST:
        return absent(f"{len(battles.models)} models are compared; {AT_LEAST} are needed")
    sources = len(np.unique(battles.source))
    if sources < 2:
        return absent("all rows have one source; intervals over sources need two")
    figures: dict[str, float | None] = {}
    missing: dict[str, str] = {}
    figures["row_pearson"] = row_pearson(battles)
    if figures["row_pearson"] is None:
        missing["row_pearson"] = f"no model has win rates against {AT_LEAST} others that differ"
    ours, theirs = (strengths(battles.wins(outcome)) for outcome in (battles.people, battles.scorer))
    if np.ptp(ours) and np.ptp(theirs):
        figures["spearman"] = float(stats.spearmanr(ours, theirs).statistic)
        figures["kendall"] = float(stats.kendalltau(ours, theirs).statistic)
    else:
        reason = "people, or the reward model, find all models equally strong"
        missing |= {"spearman": reason, "kendall": reason}
    by_people, by_scorer = _resampled(battles)
    apart, known = _separated(theirs, by_scorer, sources), _separated(ours, by_people, sources)
    figures["separability"] = float(np.abs(apart).mean())
    if known.any():
        figures["confidence_agreement"] = float((apart * known)[known != 0].mean())
    else:
        missing["confidence_agreement"] = "people separate no pair of models with 95% confidence"
    figures["rank_brier"] = float(((_above(by_scorer).mean(axis=0) - _above(ours)) ** 2).mean())
    return Agreement(**figures, missing=missing)


def absent(reason: str) -> Agreement:
    """Agreement without figures, all for one reason."""
    return Agreement(missing={name: reason for name in Agreement.__dataclass_fields__ if name != "missing"})


def row_pearson(battles: Battles) -> float | None:
    """Mean Pearson correlation of the rows of the two win-rate matrices, the diagonal left out.

    Rows with fewer than three opponents, or without variation, do not count; None if no row is left.
    """
    people, scorer = battles.wins(battles.people), battles.wins(battles.scorer)
    games = people + people.T
    correlations = []
    for ours, theirs, number in zip(people, scorer, games, strict=True):
        met = number > 0
        rates = ours[met] / number[met], theirs[met] / number[met]
        if met.sum() >= AT_LEAST and min(np.ptp(rates[0]), np.ptp(rates[1])) > 10.0**-_DECIMALS:
            correlations.append(float(stats.pearsonr(*rates).statistic))
    return float(np.mean(correlations)) if correlations else None


def strengths(wins: Matrix) -> Vector:
    """Bradley-Terry strengths in logits: P(i beats j) = sigmoid(s_i - s_j), with a wide normal prior.

    The likelihood is that of Hunter (2004), equations 1 and 2. Newton's method climbs it; steps are cut so
    that no difference of strengths changes by more than one logit, within which each step is sure to climb
    (Bach, 2010, proposition 1).

    Args:
        wins: shape (..., models, models), float64, the diagonal 0; a tie is half a win for each.

    Returns:
        Shape (..., models), float64, rounded to nine decimals so that equal models have equal strengths.
    """
    games = wins + np.swapaxes(wins, -1, -2)
    logits = np.zeros(wins.shape[:-1])
    diagonal = np.arange(wins.shape[-1])
    for _ in range(500):
        chance = expit(logits[..., :, None] - logits[..., None, :])
        slope = (wins - games * chance).sum(axis=-1) - _PRECISION * logits
        curvature = -games * chance * (1 - chance)
        curvature[..., diagonal, diagonal] += _PRECISION - curvature.sum(axis=-1)
        step = np.linalg.solve(curvature, slope[..., None])[..., 0]
        longest = np.abs(step).max(axis=-1, keepdims=True)
        logits += step / np.maximum(longest / _LONGEST, 1.0)
        if longest.max() < 10.0**-_DECIMALS / 10:
            break
    return np.round(logits, _DECIMALS) + 0.0


def _resampled(battles: Battles) -> tuple[Matrix, Matrix]:
    """Strengths by people and by the reward model in resamples of the sources; shape (resamples, models)."""
    people, scorer = [], []
    for weight in resampled_weights(battles.source, RESAMPLES):
        people.append(battles.wins(battles.people, weight))
        scorer.append(battles.wins(battles.scorer, weight))
    return strengths(np.stack(people)), strengths(np.stack(scorer))


def _separated(logits: Vector, resampled: Matrix, sources: int) -> Vector:
    """For each pair i < j, 1 where i's 95% interval lies above j's, -1 below, 0 where they meet."""
    low, high = around(logits, resampled, sources)
    i, j = np.triu_indices(resampled.shape[-1], k=1)
    return np.asarray(low[i] > high[j], dtype=np.float64) - np.asarray(low[j] > high[i], dtype=np.float64)


def _above(logits: Matrix | Vector) -> Matrix:
    """For each pair i < j, 1 where i is stronger, 0 where j is, 0.5 where neither."""
    i, j = np.triu_indices(logits.shape[-1], k=1)
    return np.asarray((np.sign(logits[..., i] - logits[..., j]) + 1) / 2, dtype=np.float64)
