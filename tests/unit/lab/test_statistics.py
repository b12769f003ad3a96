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
    found = mean(np.array([1.0, 1.0, 0.0, 0.0]), ["a", "a", "b", "b"])
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)


def test_a_ratio_weighs_each_row_by_its_whole() -> None:
    found = ratio(np.array([1.0, 0.0]), np.array([3.0, 1.0]), ["a", "b"])
    assert (found.value, found.low, found.high) == (0.25, 0.0, pytest.approx(1 / 3))


def test_without_any_whole_the_ratio_is_zero() -> None:
    found = ratio(np.zeros(2), np.zeros(2), ["a", "b"])
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_the_same_rows_give_the_same_interval() -> None:
    values, sources = np.linspace(0, 1, 30), [str(place % 7) for place in range(30)]
    assert mean(values, sources) == mean(values, sources)


def test_an_interval_is_from_the_2_5_to_the_97_5_percentile_of_the_resamples() -> None:
    found = interval(np.array([7.0, *range(101)]))
    assert (found.value, found.low, found.high) == (7.0, 2.5, 97.5)
    low, high = percentiles(np.column_stack([np.arange(101.0), np.zeros(101)]))
    assert (low.tolist(), high.tolist()) == ([2.5, 0.0], [97.5, 0.0])


def test_resampled_sums_hold_all_columns_of_a_source_or_none() -> None:
    found = resampled_sums(np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), ["a", "a", "b"])
    assert found.shape == (2, 1 + RESAMPLES)
    assert found[:, 0].tolist() == [2.0, 1.0]
    assert set(found[0].tolist()) == {0.0, 2.0, 4.0}
    np.testing.assert_array_equal(found[0] / 2 + found[1], 2.0)


def test_the_weight_of_a_row_in_a_resample_is_that_of_its_source() -> None:
    found = np.stack(list(resampled_weights(np.array([3, 3, 8]), 200)))
    assert found.shape == (200, 3)
    np.testing.assert_array_equal(found[:, 0], found[:, 1])
    np.testing.assert_array_equal(found[:, 1] + found[:, 2], 2.0)
