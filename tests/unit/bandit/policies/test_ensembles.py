"""Ensembles: the scores of several arms combined."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from laserve.bandit.policies.ensembles import ENSEMBLES, averaged, standardised, win_rates

NAN = np.nan
some_scores = arrays.arrays(
    np.float64, st.integers(1, 12), elements=st.floats(-1e6, 1e6, width=32) | st.just(NAN)
)


@given(some_scores)
def test_z_scores_have_mean_zero_and_deviation_one_or_zero(scores: np.ndarray) -> None:
    z = standardised(scores)
    assert np.array_equal(np.isnan(z), np.isnan(scores))
    known = z[~np.isnan(z)]
    if len(known):
        assert known.mean() == pytest.approx(0, abs=1e-6)
        assert known.std() == pytest.approx(1, abs=1e-3) or known.std() == 0


@pytest.mark.parametrize("score", [3.0, 0.1])  # three times 0.1 has a deviation above 0, by rounding
def test_equal_scores_say_nothing(score: float) -> None:
    assert standardised(np.array([score, score, score, NAN])).tolist()[:3] == [0.0, 0.0, 0.0]


@given(some_scores)
def test_what_a_candidate_beats_and_what_beats_it_make_a_whole(scores: np.ndarray) -> None:
    share = win_rates(scores)
    known = ~np.isnan(scores)
    assert np.array_equal(np.isnan(share), ~known)
    assert ((share[known] >= 0) & (share[known] <= 1)).all()
    if known.sum() > 1:
        assert share[known].mean() == pytest.approx(0.5)


def test_ranks_are_told_as_shares() -> None:
    assert win_rates(np.array([1.0, 5.0, 3.0, 3.0, NAN]))[:4].tolist() == pytest.approx([0, 1, 0.5, 0.5])


def test_what_one_arm_does_not_know_the_others_tell() -> None:
    assert averaged([np.array([1.0, NAN, NAN]), np.array([3.0, 2.0, NAN])])[:2].tolist() == [2.0, 2.0]
    assert np.isnan(averaged([np.array([NAN]), np.array([NAN])])).all()


@pytest.mark.parametrize("name", ENSEMBLES)
@given(some_scores, st.floats(0.5, 100), st.floats(-100, 100))
def test_the_unit_of_an_arm_does_not_matter(
    name: str, scores: np.ndarray, scale: float, shift: float
) -> None:
    rounded = np.round(scores)
    other = np.arange(len(scores), dtype=float)
    before = ENSEMBLES[name].combine({"a": rounded, "b": other})
    after = ENSEMBLES[name].combine({"a": rounded * scale + shift, "b": other})
    assert after == pytest.approx(before, abs=1e-4, nan_ok=True)


def test_the_mean_of_scores_weighs_how_far_apart_and_that_of_ranks_does_not() -> None:
    sure, unsure = np.array([0.0, 0.1, 0.2, 10.0]), np.array([0.0, 2.0, 3.0, 1.0])
    assert ENSEMBLES["ensemble-mean"].combine({"sure": sure, "unsure": unsure}).argmax() == 3
    assert ENSEMBLES["ensemble-rank"].combine({"sure": sure, "unsure": unsure}).argmax() == 2
