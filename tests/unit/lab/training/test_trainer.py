"""The loss over a group of answers."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from laserve.lab.training.trainer import pairwise

SCORES = st.lists(st.floats(-5, 5), min_size=2, max_size=6)


def test_a_pair_has_the_bradley_terry_loss() -> None:
    loss, accuracy = pairwise(torch.tensor([0.5, -0.25]), torch.tensor([1.0, 0.0]))
    assert float(loss) == pytest.approx(math.log(1 + math.exp(-0.75)), rel=1e-6)
    assert accuracy == 1.0


def test_pairs_weigh_by_their_difference_in_quality() -> None:
    scores, rewards = torch.tensor([0.0, 1.0, 3.0]), torch.tensor([0.0, 0.2, 1.0])
    terms = {0.2: 1.0, 1.0: 3.0, 0.8: 2.0}  # difference in quality -> difference in score
    expected = sum(gap * math.log(1 + math.exp(-score)) for gap, score in terms.items()) / sum(terms)
    assert float(pairwise(scores, rewards)[0]) == pytest.approx(expected, rel=1e-6)


def test_a_tie_is_half_right() -> None:
    assert pairwise(torch.tensor([1.0, 1.0]), torch.tensor([1.0, 0.0]))[1] == 0.5


@given(scores=SCORES, shift=st.floats(-3, 3))
def test_only_differences_of_scores_count(scores: list[float], shift: float) -> None:
    rewards = torch.linspace(0, 1, len(scores))
    loss, _ = pairwise(torch.tensor(scores), rewards)
    shifted, _ = pairwise(torch.tensor(scores) + shift, rewards)
    assert float(shifted) == pytest.approx(float(loss), rel=1e-3, abs=1e-4)


def test_the_gradient_raises_the_better_answer() -> None:
    scores = torch.zeros(3, requires_grad=True)
    pairwise(scores, torch.tensor([0.0, 0.5, 1.0]))[0].backward()
    assert scores.grad is not None
    assert scores.grad[0] > 0 > scores.grad[2]
