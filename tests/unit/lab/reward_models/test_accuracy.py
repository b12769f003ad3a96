"""Pair accuracy, its interval, and what length alone achieves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laserve.lab.data.rows import Group
from laserve.lab.reward_models.accuracy import length_only, measure
from laserve.types import Request, Sampling

REQUEST = Request(
    question="who?", sampling=Sampling(n=1, temperature=1.0, top_p=1.0, max_tokens=8), timeout_s=1.0
)
REWARDS = st.lists(st.floats(0, 1), min_size=2, max_size=5)


def group(*rewards: float, texts: tuple[str, ...] = (), source: str = "a") -> Group:
    texts = texts or tuple("x" * (index + 1) for index in range(len(rewards)))
    return Group(id=source, request=REQUEST, texts=texts, rewards=rewards, source=source)


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
    result = measure([(group(*rewards), np.array(scores))])
    assert (result.value, result.pairs) == (pytest.approx(accuracy), pairs)


@given(rewards=REWARDS)
def test_the_truth_orders_all_pairs_and_its_negative_none(rewards: list[float]) -> None:
    one = group(*rewards)
    if one.instructive:
        assert measure([(one, np.array(rewards))]).value == 1.0
        assert measure([(one, -np.array(rewards))]).value == 0.0


def test_the_interval_holds_the_value_and_narrows_with_more_sources() -> None:
    rng = np.random.default_rng(1)

    def width(count: int) -> float:
        scored = [
            (group(1.0, 0.0, source=str(index)), np.array([float(rng.random() < 0.7), 0.5]))
            for index in range(count)
        ]
        result = measure(scored)
        assert result.low <= result.value <= result.high
        return result.high - result.low

    assert width(400) < width(25)


def test_rows_of_one_source_are_resampled_together() -> None:
    right = [(group(1.0, 0.0, source="a"), np.array([1.0, 0.0]))] * 50
    wrong = [(group(1.0, 0.0, source="b"), np.array([0.0, 1.0]))] * 50
    result = measure(right + wrong)
    assert (result.low, result.high, result.sources) == (0.0, 1.0, 2)


@pytest.mark.parametrize(("better", "worse"), [("long answer", "short"), ("short", "long answer")])
def test_length_alone_takes_its_direction_from_training(better: str, worse: str) -> None:
    train = [group(1.0, 0.0, texts=(better, worse))]
    assert length_only([group(1.0, 0.0, texts=(better, worse))], train).value == 1.0
    assert length_only([group(1.0, 0.0, texts=(worse, better))], train).value == 0.0
