"""Scaled score differences: chances that were fitted on other sources."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from laserve.lab.reward_models.ppe.calibration import held_out, platt

DIFFERENCES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30)


def sampled(slope: float, count: int, seed: int = 0) -> np.ndarray:
    """Differences of a reward model whose true slope is known, preferred answer first."""
    rng = np.random.default_rng(seed)
    difference = rng.normal(size=count)
    return np.where(rng.random(count) < expit(slope * difference), difference, -difference)


@given(differences=DIFFERENCES)
def test_a_squared_error_of_the_chances_is_in_0_to_1(differences: list[float]) -> None:
    chance = held_out(np.array(differences), [str(index) for index in range(len(differences))])
    assert ((chance >= 0) & (chance <= 1)).all()


@pytest.mark.parametrize("slope", [0.5, 1.0, 3.0])
def test_the_true_slope_is_found(slope: float) -> None:
    assert platt(sampled(slope, 20_000)) == pytest.approx(slope, rel=0.1)


def test_an_informative_score_beats_a_coin() -> None:
    differences = sampled(2.0, 500)
    chance = held_out(differences, [str(index) for index in range(500)])
    assert ((1 - chance) ** 2).mean() < 0.2


def test_a_score_that_prefers_the_worse_answer_is_not_turned_around() -> None:
    assert platt(-np.abs(sampled(2.0, 50))) == 0.0


def test_a_score_that_is_always_right_has_a_finite_slope() -> None:
    # One difference d and the target (n + 1) / (n + 2): sigmoid(a d) reaches it exactly.
    assert expit(platt(np.full(8, 2.0)) * 2.0) == pytest.approx(9 / 10)


def test_equal_scores_say_nothing() -> None:
    assert held_out(np.zeros(4), ["a", "b", "c", "d"]) == pytest.approx([0.5] * 4)


@given(unit=st.floats(1e-6, 1e6))
def test_the_unit_of_the_scores_does_not_matter(unit: float) -> None:
    differences, sources = sampled(1.0, 40), [str(index // 2) for index in range(40)]
    assert held_out(unit * differences, sources) == pytest.approx(held_out(differences, sources), abs=1e-6)


def test_no_source_has_a_part_in_the_slope_that_scales_it() -> None:
    differences, sources = sampled(1.0, 60), [str(index // 3) for index in range(60)]
    own = np.array([source == "4" for source in sources])
    slope = logit(held_out(differences, sources)[own]) / differences[own]
    changed = np.where(own, -5 * differences, differences)
    again = logit(held_out(changed, sources)[own]) / changed[own]
    assert slope == pytest.approx(again)
    assert np.ptp(slope) == pytest.approx(0, abs=1e-9)
