"""Rankings of models by people and by a reward model."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from laserve.lab.reward_models.ppe.rankings import Agreement, Battles, compare, row_pearson, strengths

#: First model, second model, how people saw it (1, 0, 0.5), how the reward model did, and how often.
Game = tuple[str, str, float, float, int]
METRICS = [name for name in Agreement.__dataclass_fields__ if name != "missing"]


def battles(games: Sequence[Game], *, one_source: bool = False) -> Battles:
    each = [game[:4] for game in games for _ in range(game[4])]
    models = tuple(sorted({name for game in each for name in game[:2]}))
    return Battles(
        models=models,
        first=np.array([models.index(game[0]) for game in each], dtype=np.intp),
        second=np.array([models.index(game[1]) for game in each], dtype=np.intp),
        people=np.array([game[2] for game in each]),
        scorer=np.array([game[3] for game in each]),
        source=np.zeros(len(each), dtype=np.intp) if one_source else np.arange(len(each)),
    )


def round_robin(by_people: str, by_scorer: str, rounds: int = 40) -> Battles:
    """Each model of the first word (best first) wins against those behind it, and so by the second word."""
    return battles(
        [
            (a, b, 1.0, float(by_scorer.index(a) < by_scorer.index(b)), rounds)
            for index, a in enumerate(by_people)
            for b in by_people[index + 1 :]
        ]
    )


# correlations


@pytest.mark.parametrize(
    ("by_scorer", "spearman", "kendall"),
    [("abc", 1.0, 1.0), ("acb", 0.5, 1 / 3), ("cba", -1.0, -1.0), ("bca", -0.5, -1 / 3)],
)
def test_known_rank_correlations(by_scorer: str, spearman: float, kendall: float) -> None:
    # With ranks 1 2 3 and 1 3 2: 1 - 6 * 2 / (3 * 8), and two pairs in order against one.
    result = compare(round_robin("abc", by_scorer))
    assert (result.spearman, result.kendall) == (pytest.approx(spearman), pytest.approx(kendall))


def test_a_known_correlation_of_one_row_of_the_win_rates() -> None:
    # The rates of a against b, c, d are 1, 1/2, 0 by people and 1/2, 1, 0 by the reward model; the others
    # have met one opponent each and do not count.
    star = battles(
        [
            ("a", "b", 1.0, 1.0, 1),
            ("b", "a", 0.0, 1.0, 1),
            ("a", "c", 1.0, 1.0, 1),
            ("a", "c", 0.0, 1.0, 1),
            ("d", "a", 1.0, 1.0, 2),
        ]
    )
    assert row_pearson(star) == pytest.approx(0.5)


def test_the_same_win_rates_correlate_fully_and_their_opposites_negatively() -> None:
    rng = np.random.default_rng(3)
    games: list[Game] = []
    for a, b in ("ab", "ac", "ad", "bc", "bd", "cd"):
        games += [(a, b, float(rng.random() < 0.6), 0.0, 1) for _ in range(30)]
    same = battles([(a, b, people, people, 1) for a, b, people, _, _ in games])
    opposite = battles([(a, b, people, 1 - people, 1) for a, b, people, _, _ in games])
    assert row_pearson(same) == pytest.approx(1.0)
    assert row_pearson(opposite) == pytest.approx(-1.0)


# confidence


def test_a_reward_model_that_agrees_with_confidence_has_one_and_its_opposite_minus_one() -> None:
    agreeing, opposing = compare(round_robin("abcd", "abcd")), compare(round_robin("abcd", "dcba"))
    assert (agreeing.separability, agreeing.confidence_agreement) == (1.0, 1.0)
    assert (opposing.separability, opposing.confidence_agreement) == (1.0, -1.0)
    assert (agreeing.rank_brier, opposing.rank_brier) == (pytest.approx(0.0), pytest.approx(1.0))


def test_a_reward_model_that_separates_nothing_has_zero() -> None:
    games: list[Game] = [(a, b, 1.0, 0.5, 40) for a, b in ("ab", "ac", "bc")]
    result = compare(battles(games))
    assert (result.separability, result.confidence_agreement, result.rank_brier) == (0.0, 0.0, 0.25)
    assert (result.spearman, result.kendall, result.row_pearson) == (None, None, None)
    assert "equally strong" in result.missing["spearman"]


def test_one_pair_of_three_in_the_other_order_costs_two_thirds() -> None:
    assert compare(round_robin("abc", "acb")).confidence_agreement == pytest.approx(1 / 3)


def test_where_people_separate_nothing_there_is_no_agreement_to_tell() -> None:
    games: list[Game] = [(a, b, 0.5, 1.0, 40) for a, b in ("ab", "ac", "bc")]
    result = compare(battles(games))
    assert result.confidence_agreement is None
    assert "people separate no pair" in result.missing["confidence_agreement"]
    assert result.separability == 1.0


# figures that are missing


@pytest.mark.parametrize(
    ("given_battles", "reason"),
    [
        (battles([("a", "b", 1.0, 1.0, 9)]), "2 models are compared; 3 are needed"),
        (battles([(a, b, 1.0, 1.0, 9) for a, b in ("ab", "bc", "ac")], one_source=True), "one source"),
    ],
)
def test_too_few_models_or_sources_leave_all_metrics_out_with_the_reason(
    given_battles: Battles, reason: str
) -> None:
    result = compare(given_battles)
    assert [getattr(result, name) for name in METRICS] == [None] * len(METRICS)
    assert all(reason in result.missing[name] for name in METRICS)


def test_the_same_battles_give_the_same_figures() -> None:
    assert compare(round_robin("abcd", "bacd", rounds=3)) == compare(round_robin("abcd", "bacd", rounds=3))


# strengths

WINS = st.lists(st.lists(st.integers(0, 30), min_size=4, max_size=4), min_size=4, max_size=4)


@given(wins=WINS)
def test_strengths_are_where_the_log_posterior_is_flat_and_sum_to_zero(wins: list[list[int]]) -> None:
    counts = np.array(wins, dtype=float)
    np.fill_diagonal(counts, 0.0)
    result = strengths(counts)
    chance = expit(result[:, None] - result[None, :])
    slope = (counts - (counts + counts.T) * chance).sum(axis=1) - 0.1 * result
    assert slope == pytest.approx(0.0, abs=1e-6)
    assert result.sum() == pytest.approx(0.0, abs=1e-6)


def test_three_wins_in_four_are_nearly_log_three() -> None:
    result = strengths(np.array([[0.0, 3000.0], [1000.0, 0.0]]))
    assert result[0] - result[1] == pytest.approx(np.log(3), abs=1e-3)


def test_a_model_that_never_loses_stays_finite() -> None:
    result = strengths(np.array([[0.0, 1e6, 1e6], [0.0, 0.0, 1e6], [0.0, 0.0, 0.0]]))
    assert result[0] > result[1] > result[2]
    assert np.abs(result).max() < 100


def test_many_are_fitted_at_once_as_each_alone() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 20, size=(5, 3, 3)).astype(float)
    counts[:, range(3), range(3)] = 0.0
    assert strengths(counts) == pytest.approx(np.stack([strengths(one) for one in counts]))
