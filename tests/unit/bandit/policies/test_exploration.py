import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import make_exploration
from laserve.bandit.policies.exploration import greedy

VALUES = st.lists(st.integers(0, 4).map(float) | st.just(float("inf")), min_size=1, max_size=8).map(np.array)


@pytest.mark.parametrize(
    ("values", "chances"),
    [
        ([0.1, 0.9, 0.5], [0.0, 1.0, 0.0]),
        ([0.9, 0.1, 0.9], [0.5, 0.0, 0.5]),
        ([0.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]),
        ([-1.0], [1.0]),
        ([float("inf"), 1.0, float("inf")], [0.5, 0.0, 0.5]),
    ],
)
def test_the_largest_value_has_all_the_chance_and_shares_it_where_it_ties(
    values: list[float], chances: list[float]
) -> None:
    assert greedy(np.array(values)).tolist() == chances


def test_values_that_differ_in_the_last_bit_do_not_tie() -> None:
    assert greedy(np.array([1.0, np.nextafter(1.0, 2.0)])).tolist() == [0.0, 1.0]


@given(values=VALUES, epsilon=st.floats(0, 1))
def test_a_mixture_is_a_distribution_in_which_every_arm_has_its_part_of_epsilon(
    values: np.ndarray, epsilon: float
) -> None:
    chances = make_exploration(epsilon).mix(greedy(values), 0)
    assert chances.sum() == pytest.approx(1.0, abs=1e-12)
    assert (chances >= epsilon / len(values)).all()


def test_a_mixture_keeps_what_is_preferred_in_proportion() -> None:
    chances = make_exploration(0.25).mix(np.array([0.0, 0.5, 0.5, 0.0]), 0)
    assert chances.tolist() == [0.0625, 0.4375, 0.4375, 0.0625]


@pytest.mark.parametrize(
    ("decisions", "epsilon"), [(0, 0.5), (1, 0.5), (99, 0.5), (100, 0.02), (101, 0.02), (10**6, 0.02)]
)
def test_epsilon_falls_after_so_many_learned_decisions(decisions: int, epsilon: float) -> None:
    exploration = make_exploration(0.02, start=0.5, until=100)
    assert exploration.share(decisions) == epsilon
    chances = exploration.mix(np.array([1.0, 0.0]), decisions)
    np.testing.assert_allclose(chances, [1 - epsilon / 2, epsilon / 2])


def test_without_a_young_phase_the_long_run_epsilon_holds_from_the_start() -> None:
    assert make_exploration(0.02, start=0.5, until=0).share(0) == 0.02
