"""Means over rows, with intervals over the sources of the rows."""

import numpy as np
import pytest

from laserve.lab.statistics import (
    RESAMPLES,
    interval,
    mean,
    percentiles,
    ratio,
    resampled_sums,
    resampled_weights,
)


def test_the_mean_is_over_groups_and_its_interval_over_sources() -> None:
    result = mean(np.array([1.0, 1.0, 0.0, 0.0]), ["a", "a", "b", "b"])
    assert (result.value, result.low, result.high) == (0.5, 0.0, 1.0)


def test_a_ratio_weighs_each_row_by_its_whole() -> None:
    result = ratio(np.array([1.0, 0.0]), np.array([3.0, 1.0]), ["a", "b"])
    assert (result.value, result.low, result.high) == (0.25, 0.0, pytest.approx(1 / 3))


def test_without_any_whole_the_ratio_is_zero() -> None:
    result = ratio(np.zeros(2), np.zeros(2), ["a", "b"])
    assert (result.value, result.low, result.high) == (0.0, 0.0, 0.0)


def test_the_same_rows_give_the_same_interval() -> None:
    values, sources = np.linspace(0, 1, 30), [str(index % 7) for index in range(30)]
    assert mean(values, sources) == mean(values, sources)


def test_an_interval_is_from_the_2_5_to_the_97_5_percentile_of_the_resamples() -> None:
    result = interval(np.array([7.0, *range(101)]))
    assert (result.value, result.low, result.high) == (7.0, 2.5, 97.5)
    low, high = percentiles(np.column_stack([np.arange(101.0), np.zeros(101)]))
    assert (low.tolist(), high.tolist()) == ([2.5, 0.0], [97.5, 0.0])


def test_resampled_sums_hold_all_columns_of_a_source_or_none() -> None:
    result = resampled_sums(np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), ["a", "a", "b"])
    assert result.shape == (2, 1 + RESAMPLES)
    assert result[:, 0].tolist() == [2.0, 1.0]
    assert set(result[0].tolist()) == {0.0, 2.0, 4.0}
    np.testing.assert_array_equal(result[0] / 2 + result[1], 2.0)


def test_the_weight_of_a_row_in_a_resample_is_that_of_its_source() -> None:
    result = np.stack(list(resampled_weights(np.array([3, 3, 8]), 200)))
    assert result.shape == (200, 3)
    np.testing.assert_array_equal(result[:, 0], result[:, 1])
    np.testing.assert_array_equal(result[:, 1] + result[:, 2], 2.0)
