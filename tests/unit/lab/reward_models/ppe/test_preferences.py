"""One reward model on what people prefer."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from builders import make_row
from laserve.lab.data.row import Row
from laserve.lab.reward_models.ppe.preferences import PreferenceFigures, measure_preferences

Scored = list[tuple[Row, np.ndarray]]
Change = Callable[[np.ndarray], np.ndarray]
OF_MODELS = ("row_pearson", "spearman", "kendall", "separability", "confidence_agreement", "rank_brier")


def pair(
    first: float,
    scores: tuple[float, float],
    *,
    source: str = "a",
    models: tuple[str, ...] = (),
) -> tuple[Row, np.ndarray]:
    """Two answers, the first of this quality, and their scores."""
    row = make_row(first, 1 - first, id=source, source=source)
    answers = tuple(
        replace(a, model=model) for a, model in zip(row.answers, models or (None, None), strict=True)
    )
    return replace(row, answers=answers), np.array(scores)


def league(seed: int = 0, rounds: int = 30) -> Scored:
    """Answers of four models whose quality the scores tell with noise."""
    rng = np.random.default_rng(seed)
    rows = []
    for a, b in ("ab", "ac", "ad", "bc", "bd", "cd") * rounds:
        worth = np.array([ord("d") - ord(model) for model in (a, b)]) + rng.normal(size=2)
        rows.append(
            pair(
                float(worth[0] > worth[1]),
                tuple(worth + rng.normal(size=2)),
                source=str(len(rows)),
                models=(a, b),
            )
        )
    return rows


def rescored(rows: Scored, change: Change) -> PreferenceFigures:
    return measure_preferences([(row, change(scores)) for row, scores in rows])


def test_accuracy_counts_pairs_and_a_tie_of_the_scores_is_half() -> None:
    result = measure_preferences(
        [pair(1.0, (2, 1), source="a"), pair(0.0, (2, 1), source="b"), pair(0.0, (3, 3), source="c")]
    )
    assert result.accuracy is not None
    assert (result.accuracy.value, result.accuracy.pairs) == (0.5, 3)


def test_pairs_that_people_saw_as_equal_count_in_the_win_rates_alone() -> None:
    rows = league()
    tied = [pair(0.5, (2, 1), source=f"tie {index}", models=("a", "b")) for index in range(5)]
    without, result = measure_preferences(rows), measure_preferences(rows + tied)
    assert (result.rows, result.ties) == (len(rows) + 5, 5)
    assert (result.accuracy, result.brier) == (without.accuracy, without.brier)
    assert result.row_pearson != without.row_pearson


def test_where_people_saw_ties_alone_accuracy_and_brier_are_absent_with_the_reason() -> None:
    result = measure_preferences([pair(0.5, (1, 2), source=name) for name in "ab"])
    assert (result.accuracy, result.brier) == (None, None)
    assert result.missing["accuracy"] == result.missing["brier"] == "people saw a tie in every row"


def test_without_model_names_the_rankings_are_absent_with_the_reason() -> None:
    result = measure_preferences([pair(1.0, (2, 1), source=str(index)) for index in range(4)])
    assert [getattr(result, name) for name in OF_MODELS] == [None] * len(OF_MODELS)
    assert set(result.missing) == set(OF_MODELS)
    assert all("chosen_model" in reason for reason in result.missing.values())
    assert result.accuracy is not None
    assert result.brier is not None


def test_answers_of_one_model_to_itself_say_nothing_of_models() -> None:
    rows = [pair(1.0, (2, 1), source=str(index), models=("a", "a")) for index in range(4)]
    assert measure_preferences(rows).models == 0


def test_a_reward_model_that_sees_what_people_see_reaches_the_best_of_each_metric() -> None:
    rows = [(row, np.array(row.qualities)) for row, _ in league()]
    result = measure_preferences(rows)
    assert result.accuracy is not None
    assert result.accuracy.value == 1.0
    assert result.row_pearson == pytest.approx(1.0)
    assert (result.spearman, result.kendall) == (pytest.approx(1.0), pytest.approx(1.0))
    assert result.confidence_agreement == 1.0
    assert result.brier is not None
    assert result.brier.value < 0.01
    assert result.missing == {}


def test_an_informative_reward_model_has_a_brier_score_below_that_of_a_coin() -> None:
    result = measure_preferences(league())
    assert result.brier is not None
    assert 0 < result.brier.low < result.brier.value < result.brier.high < 0.25


@pytest.mark.parametrize("change", [np.exp, np.cbrt, lambda scores: 7 * scores - 3])
def test_a_monotone_change_of_the_scores_changes_no_metric_of_order(change: Change) -> None:
    rows = league(rounds=5)
    assert replace(rescored(rows, change), brier=None) == replace(measure_preferences(rows), brier=None)


@pytest.mark.parametrize("swapped", [{0}, set(range(0, 30, 2)), set(range(30))])
def test_the_order_of_two_answers_does_not_matter(swapped: set[int]) -> None:
    rows = league(rounds=5)
    turned = [
        pair(row.qualities[1], tuple(scores[::-1]), source=row.source, models=row.models[::-1])
        if index in swapped
        else (row, scores)
        for index, (row, scores) in enumerate(rows)
    ]
    result, expected = measure_preferences(turned), measure_preferences(rows)
    assert (result.accuracy, result.brier) == (expected.accuracy, expected.brier)
    assert result.spearman == pytest.approx(expected.spearman)
    assert result.row_pearson == pytest.approx(expected.row_pearson)


def test_a_score_that_is_not_finite_loses_as_in_the_service() -> None:
    nan = float("nan")
    won = measure_preferences([pair(1.0, (1, nan), source="a"), pair(0.0, (nan, 1), source="b")])
    lost = measure_preferences([pair(1.0, (nan, 1), source="a"), pair(0.0, (1, float("inf")), source="b")])
    assert won.accuracy is not None
    assert lost.accuracy is not None
    assert (won.accuracy.value, lost.accuracy.value) == (1.0, 0.0)
    both = measure_preferences([pair(1.0, (nan, nan), source="a"), pair(1.0, (nan, nan), source="b")])
    assert both.accuracy is not None
    assert (both.accuracy.value, both.brier and both.brier.value) == (0.5, 0.25)
