"""One reward model on right and wrong answers."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from builders import make_row
from laserve.lab.data.row import Row
from laserve.lab.reward_models.ppe.correctness import (
    CorrectnessFigures,
    auc,
    measure_correctness,
    scaled,
)

Scored = list[tuple[Row, np.ndarray]]


def answers(right: list[int], scores: list[float], *, source: str = "a") -> tuple[Row, np.ndarray]:
    row = make_row(*map(float, right), id=source, source=source)
    return row, np.array(scores, dtype=float)


def sampled(count: int = 40, seed: int = 0) -> Scored:
    """Rows of four answers whose scores tell with noise what is right, some rows all right or all wrong."""
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(count):
        right = (rng.random(4) < rng.random()).astype(int)
        rows.append(answers(list(right), list(right + rng.normal(size=4)), source=str(index)))
    return rows


def metric_of(rows: Scored, metric: str) -> float:
    value = getattr(measure_correctness(rows), metric)
    return float(getattr(value, "value", value))


# known cases


def test_the_figures_of_a_reward_model_that_picks_the_wrong_answer() -> None:
    # Curves 1/2, 0 and 1/2, 1: the mean squared difference is (0 + 1) / 2.
    result = measure_correctness([answers([1, 0], [1, 2])])
    assert result.curve == (0.5, 0.0)
    assert result.truth == (0.5, 1.0)
    assert (result.maximum, result.maximum_at, result.end.value, result.loss) == (0.5, 1, 0.0, 0.5)
    assert result.accuracy is not None
    assert (result.accuracy.value, result.auc) == (0.0, 0.0)


def test_accuracy_is_over_right_and_wrong_answers_of_one_row_with_ties_half() -> None:
    result = measure_correctness([answers([1, 1, 0], [3, 1, 1]), answers([1, 1, 1], [1, 2, 3], source="b")])
    assert result.accuracy is not None
    assert (result.accuracy.value, result.accuracy.pairs) == (0.75, 2)


def test_a_known_area_under_the_curve() -> None:
    right = np.array([False, False, True, True])
    assert auc(np.array([0.1, 0.4, 0.35, 0.8]), right) == 0.75
    assert auc(np.zeros(4), right) == 0.5


def test_scaled_within_rows_the_area_does_not_ask_which_row_is_hard() -> None:
    # Of the four pairs over both rows, 2 < 10 is in the wrong order; within the rows all are right.
    result = measure_correctness([answers([0, 1], [10, 11]), answers([0, 1], [1, 2], source="b")])
    assert (result.auc, result.auc_scaled) == (0.75, 1.0)


def test_scores_of_a_row_are_scaled_from_lowest_to_highest() -> None:
    assert scaled(np.array([-2.0, 0.0, 2.0])) == pytest.approx([0.0, 0.5, 1.0])
    assert scaled(np.array([3.0, 3.0])) == pytest.approx([0.5, 0.5])


def test_over_optimisation_shows_in_where_the_curve_is_highest() -> None:
    # The very best score is a wrong answer's. Of the 15 pairs 9 have their best among the three right ones,
    # of the 20 triples those 10 without the wrong one.
    result = measure_correctness([answers([0, 0, 1, 1, 1, 0], [1, 2, 3, 4, 5, 6])])
    assert result.curve[:3] == pytest.approx((1 / 2, 9 / 15, 10 / 20))
    assert (result.maximum, result.maximum_at, result.end.value) == (pytest.approx(0.6), 2, 0.0)


def test_the_curve_ends_at_the_shortest_row() -> None:
    result = measure_correctness([answers([0, 1, 0], [1, 2, 3]), answers([0, 1], [1, 2], source="b")])
    assert len(result.curve) == len(result.truth) == 2


def test_the_end_has_an_interval_over_sources() -> None:
    result = measure_correctness([answers([0, 1], [1, 2]), answers([0, 1], [2, 1], source="b")])
    assert (result.end.value, result.end.low, result.end.high) == (0.5, 0.0, 1.0)


# figures that are missing


@pytest.mark.parametrize("right", [[1, 1], [0, 0]])
def test_answers_of_one_kind_leave_accuracy_and_areas_out_with_the_reason(right: list[int]) -> None:
    result = measure_correctness([answers(right, [1, 2])])
    assert (result.accuracy, result.auc, result.auc_scaled) == (None, None, None)
    assert set(result.missing) == {"accuracy", "auc", "auc_scaled"}


def test_rows_without_a_right_and_a_wrong_answer_have_an_area_and_no_accuracy() -> None:
    result = measure_correctness([answers([1, 1], [2, 3]), answers([0, 0], [0, 1], source="b")])
    assert (result.accuracy, result.auc) == (None, 1.0)
    assert result.missing == {"accuracy": "no row has a right and a wrong answer"}


def test_a_score_that_is_not_finite_is_never_picked() -> None:
    result = measure_correctness([answers([1, 0, 0], [1.0, float("nan"), float("inf")])])
    assert (result.end.value, result.auc, result.auc_scaled) == (1.0, 1.0, 1.0)
    assert result.accuracy is not None
    assert result.accuracy.value == 1.0


# properties


@given(
    scores=st.lists(st.integers(0, 5), min_size=2, max_size=12),
    cut=st.integers(1, 11),
)
def test_the_area_is_the_mann_whitney_statistic(scores: list[int], cut: int) -> None:
    values, right = np.array(scores, dtype=float), np.arange(len(scores)) < min(cut, len(scores) - 1)
    statistic = mannwhitneyu(values[right], values[~right]).statistic
    assert auc(values, right) == pytest.approx(statistic / (right.sum() * (~right).sum()))


@pytest.mark.parametrize("change", [np.exp, np.cbrt, lambda scores: 7 * scores - 3])
@pytest.mark.parametrize("metric", ["accuracy", "auc", "maximum", "end", "loss"])
def test_a_monotone_change_of_the_scores_changes_no_metric_of_order(
    metric: str, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    rows = sampled()
    changed = [(row, change(scores)) for row, scores in rows]
    assert metric_of(changed, metric) == pytest.approx(metric_of(rows, metric))


@given(seed=st.integers(0, 9))
def test_a_perfect_reward_model_reaches_the_ground_truth_curve(seed: int) -> None:
    rows = [(row, np.array(row.qualities)) for row, _ in sampled(10, seed)]
    result: CorrectnessFigures = measure_correctness(rows)
    assert result.curve == pytest.approx(result.truth)
    assert result.loss == pytest.approx(0.0)
    assert result.maximum == result.end.value == pytest.approx(result.truth[-1])
