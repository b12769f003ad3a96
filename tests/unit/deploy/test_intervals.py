"""The interval of a mean reward that the boards compute in PromQL."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from boards import promql


def bound(side: str, total: float, count: float) -> float:
    """The value of the expression for this sum and number of rewards."""
    expr = promql.wilson(side, "h", "arm", "x")
    for part, value in (("h_sum", total), ("h_count", count)):
        expr = expr.replace(promql.increase(part, "arm", "x"), repr(value))
    expr = expr.replace(" > 0", "")
    known = {"sqrt": math.sqrt, "clamp_min": max}
    return eval(expr, {"__builtins__": {}}, known)  # an expression of numbers


@given(st.integers(1, 500), st.data())
def test_it_is_wilson_s_interval_for_rewards_of_0_and_1(count: int, data: st.DataObject) -> None:
    good = data.draw(st.integers(0, count))
    expected = binomtest(good, count).proportion_ci(confidence_level=0.95, method="wilson")
    assert bound("low", float(good), float(count)) == pytest.approx(expected.low, abs=1e-4)
    assert bound("high", float(good), float(count)) == pytest.approx(expected.high, abs=1e-4)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=200))
def test_it_is_no_narrower_than_that_of_the_true_variance(rewards: list[float]) -> None:
    count, mean = len(rewards), math.fsum(rewards) / len(rewards)
    deviation = math.sqrt(math.fsum((reward - mean) ** 2 for reward in rewards) / count)
    width = bound("high", mean * count, float(count)) - bound("low", mean * count, float(count))
    shrunk = count / (count + promql.Z**2)  # the interval's own pull towards 1/2
    assert width >= 2 * promql.Z * shrunk * deviation / math.sqrt(count) - 1e-9


def test_a_sum_that_extrapolation_has_raised_above_the_number_gives_numbers() -> None:
    assert not math.isnan(bound("low", 10.1, 10.0))
