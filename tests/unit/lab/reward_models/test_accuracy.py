"""Pair accuracy, its interval, and what length alone achieves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import make_row
from laserve.lab.reward_models.accuracy import length_only, measure

REWARDS = st.lists(st.floats(0, 1), min_size=2, max_size=5)


@pytest.mark.parametrize(
    ("rewards", "scores", "accuracy", "pairs"),
    [
        ((1.0, 0.0), [3.0, 1.0], 1.0, 1),
        ((1.0, 0.0), [1.0, 3.0], 0.0, 1),
        ((1.0, 0.0), [2.0, 2.0], 0.5, 1),
        ((1.0, 0.5, 0.0), [3.0, 1.0, 2.0], 2 / 3, 3),
        ((1.0, 1.0, 0.0), [3.0, 1.0, 2.0], 0.5, 2),  # equal answers make no pair
    ],
)
def test_accuracy_of_known_cases(
    rewards: tuple[float, ...], scores: list[float], accuracy: float, pairs: int
) -> None:
    result = measure([(make_row(*rewards), np.array(scores))])
    assert (result.value, result.pairs) == (pytest.approx(accuracy), pairs)


@given(rewards=REWARDS)
def test_the_truth_orders_all_pairs_and_its_negative_none(rewards: list[float]) -> None:
    one = make_row(*rewards)
    if one.instructive:
        assert measure([(one, np.array(rewards))]).value == 1.0
        assert measure([(one, -np.array(rewards))]).value == 0.0


def test_the_interval_holds_the_value_and_narrows_with_more_sources() -> None:
    rng = np.random.default_rng(1)

    def width(count: int) -> float:
        scored = [
            (make_row(1.0, 0.0, source=str(index)), np.array([float(rng.random() < 0.7), 0.5]))
            for index in range(count)
        ]
        result = measure(scored)
        assert result.low <= result.value <= result.high
        return result.high - result.low

    assert width(400) < width(25)


def test_rows_of_one_source_are_resampled_together() -> None:
    right = [(make_row(1.0, 0.0, source="a"), np.array([1.0, 0.0]))] * 50
    wrong = [(make_row(1.0, 0.0, source="b"), np.array([0.0, 1.0]))] * 50
    result = measure(right + wrong)
    assert (result.low, result.high, result.sources) == (0.0, 1.0, 2)


@pytest.mark.parametrize(("better", "worse"), [("long answer", "short"), ("short", "long answer")])
def test_length_alone_takes_its_direction_from_training(better: str, worse: str) -> None:
    train = [make_row(1.0, 0.0, texts=(better, worse))]
    assert length_only([make_row(1.0, 0.0, texts=(better, worse))], train).value == 1.0
    assert length_only([make_row(1.0, 0.0, texts=(worse, better))], train).value == 0.0
