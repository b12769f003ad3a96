"""The moments of recent values, against a direct computation with all values and weights."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laserve.arms.moments import Moments

scores = st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=1, max_size=60)


def after(values: list[float], memory: float) -> Moments:
    moments = Moments(memory)
    for value in values:
        moments.add(value)
    return moments


@given(values=scores, memory=st.floats(min_value=1.5, max_value=2000.0))
def test_they_are_those_of_all_values_with_weights_that_fall_by_age(
    values: list[float], memory: float
) -> None:
    moments = after(values, memory)
    weights = (1 - 1 / memory) ** np.arange(len(values))[::-1]
    mean = np.average(values, weights=weights)
    variance = np.average((np.array(values) - mean) ** 2, weights=weights)
    scale = max(map(abs, values))
    assert moments.weight == pytest.approx(weights.sum())
    assert moments.mean == pytest.approx(mean, abs=1e-9 * scale)
    assert moments.sd**2 == pytest.approx(variance, rel=1e-6, abs=1e-9 * scale**2)


def test_without_a_value_nothing_weighs() -> None:
    moments = Moments()
    assert (moments.weight, moments.mean, moments.sd) == (0, 0, 0)


def test_one_value_is_the_mean_without_a_deviation() -> None:
    moments = after([-2.5], memory=1000)
    assert (moments.mean, moments.sd) == (-2.5, 0)


def test_the_memory_is_what_all_weights_sum_to_in_the_long_run() -> None:
    assert after([0.0] * 200, memory=10).weight == pytest.approx(10)


def test_a_shift_of_the_values_shows_after_as_many_values_as_the_memory() -> None:
    moments = after([0.0] * 5000 + [1.0] * 1000, memory=1000)
    assert moments.mean == pytest.approx(1 - math.exp(-1), abs=0.01)
    assert moments.sd == pytest.approx(math.sqrt(moments.mean * (1 - moments.mean)))


@pytest.mark.parametrize("absurd", [1.7e308, -1.7e308])
def test_an_absurd_value_leaves_no_infinity_behind(absurd: float) -> None:
    moments = after([absurd, -absurd, 1.0], memory=2)
    assert math.isfinite(moments.mean)
    assert math.isfinite(moments.sd)
    for _ in range(1000):
        moments.add(1.0)
    assert moments.mean == pytest.approx(1.0)
