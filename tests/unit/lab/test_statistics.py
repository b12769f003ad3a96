"""Means over rows, with intervals over the sources of the rows."""

import numpy as np
import pytest

from laserve.lab.statistics import mean, ratio


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
