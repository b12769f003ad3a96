"""The best of k answers, exactly."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laserve.lab.reward_models.ppe.best_of import curve

#: Scores with many ties, and qualities, of up to six answers.
ANSWERS = st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1)), min_size=1, max_size=6)


def enumerated(scores: np.ndarray, quality: np.ndarray) -> list[float]:
    """The same by going through every subset."""
    places = range(len(scores))
    return [
        float(
            np.mean(
                [
                    quality[list(drawn)][scores[list(drawn)] == scores[list(drawn)].max()].mean()
                    for drawn in combinations(places, k)
                ]
            )
        )
        for k in range(1, len(scores) + 1)
    ]


@pytest.mark.parametrize(
    ("scores", "quality", "expected"),
    [
        ([3.0, 1.0, 2.0], [1.0, 0.0, 0.0], [1 / 3, 2 / 3, 1.0]),
        ([1.0, 2.0, 3.0], [1.0, 0.0, 0.0], [1 / 3, 0.0, 0.0]),
        ([1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [2 / 3, 0.5, 0.5]),
        ([7.0, 7.0, 7.0], [1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]),
        ([4.0], [0.3], [0.3]),
        ([2.0, float("nan"), 1.0], [0.0, 1.0, 1.0], [2 / 3, 1 / 3, 0.0]),
    ],
)
def test_known_curves(scores: list[float], quality: list[float], expected: list[float]) -> None:
    # The third: of the pairs {0, 1}, {0, 2}, {1, 2} the first is a tie, the second right, the third wrong.
    assert curve(np.array(scores), np.array(quality)) == pytest.approx(expected)


@given(answers=ANSWERS)
def test_the_closed_form_is_the_mean_over_all_subsets_and_ties(answers: list[tuple[int, float]]) -> None:
    scores, quality = (np.array(column, dtype=float) for column in zip(*answers, strict=True))
    assert curve(scores, quality) == pytest.approx(enumerated(scores, quality))


@given(answers=ANSWERS)
def test_knowing_the_quality_is_best_for_every_k_and_rises(answers: list[tuple[int, float]]) -> None:
    scores, quality = (np.array(column, dtype=float) for column in zip(*answers, strict=True))
    possible = curve(quality, quality)
    assert (possible >= curve(scores, quality) - 1e-12).all()
    assert (np.diff(possible) >= -1e-12).all()
    assert possible[-1] == pytest.approx(quality.max())


def test_sixty_four_answers_are_no_trouble() -> None:
    right = np.arange(64) == 63
    assert curve(np.arange(64.0), right.astype(float)) == pytest.approx(np.arange(1, 65) / 64)
