from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laserve.bandit.policies import base
from laserve.bandit.policies.base import draw, noise, uniform

IDS = [f"decision-{number}" for number in range(20_000)]
ALMOST_ONE = float(np.nextafter(1.0, 0.0))
#: 99.9 % quantiles of chi-square by degrees of freedom. The ids are fixed, so a test that passes stays so.
CHI_SQUARE = {3: 16.27, 9: 27.88}


def chi_square(observed: np.ndarray, expected: np.ndarray) -> float:
    return float(((observed - expected) ** 2 / expected).sum())


def test_uniform_depends_on_nothing_but_its_arguments() -> None:
    assert uniform(3, "some-id", 2) == uniform(3, "some-id", 2)
    assert len({uniform(0, "a"), uniform(1, "a"), uniform(0, "b"), uniform(0, "a", 1)}) == 4


@given(seed=st.integers(min_value=0), decision_id=st.text(), attempt=st.integers(min_value=0, max_value=9))
def test_uniform_is_at_least_zero_and_below_one(seed: int, decision_id: str, attempt: int) -> None:
    assert 0.0 <= uniform(seed, decision_id, attempt) < 1.0


@pytest.mark.parametrize("byte", [b"\x00", b"\xff"])
def test_uniform_keeps_its_bounds_at_the_ends_of_the_hash(
    byte: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = SimpleNamespace(sha256=lambda _: SimpleNamespace(digest=lambda: byte * 32))
    monkeypatch.setattr(base, "hashlib", ends)
    assert 0.0 <= uniform(0, "any") < 1.0


def test_noise_is_a_number_of_64_bits_that_depends_on_seed_and_decision() -> None:
    seeds = {noise(seed, decision_id) for seed in (0, 1) for decision_id in IDS[:500]}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**64 for seed in seeds)
    assert noise(0, "a") == noise(0, "a")


def test_noise_is_independent_of_the_draw() -> None:
    # Were they one number, the arm that sampling favours would also be the one that is drawn.
    pairs = np.array([(noise(0, name) < 2**63, uniform(0, name) < 0.5) for name in IDS]).astype(int)
    observed = np.bincount(pairs[:, 0] * 2 + pairs[:, 1], minlength=4)
    assert chi_square(observed, np.full(4, len(IDS) / 4)) < CHI_SQUARE[3]


@pytest.mark.parametrize(("seed", "attempt"), [(0, 0), (0, 1), (7, 0)])
def test_uniform_is_uniform_over_ids(seed: int, attempt: int) -> None:
    numbers = np.array([uniform(seed, decision_id, attempt) for decision_id in IDS])
    observed = np.bincount((numbers * 10).astype(int), minlength=10)
    assert chi_square(observed, np.full(10, len(IDS) / 10)) < CHI_SQUARE[9]


def test_a_second_attempt_is_independent_of_the_first() -> None:
    pairs = np.array([(uniform(0, name) < 0.5, uniform(0, name, 1) < 0.5) for name in IDS]).astype(int)
    observed = np.bincount(pairs[:, 0] * 2 + pairs[:, 1], minlength=4)
    assert chi_square(observed, np.full(4, len(IDS) / 4)) < CHI_SQUARE[3]


def test_draws_follow_the_probabilities() -> None:
    chances = np.array([0.5, 0.3, 0.0, 0.15, 0.05])
    observed = np.bincount([draw(chances, uniform(0, decision_id)) for decision_id in IDS], minlength=5)
    assert observed[2] == 0
    possible = chances > 0
    assert chi_square(observed[possible], chances[possible] * len(IDS)) < CHI_SQUARE[3]


@pytest.mark.parametrize(
    ("chances", "u", "index"),
    [
        ([0.25, 0.75], 0.0, 0),
        ([0.25, 0.75], float(np.nextafter(0.25, 0.0)), 0),
        ([0.25, 0.75], 0.25, 1),  # an arm owns its lower bound
        ([0.5, 0.0, 0.5], 0.5, 2),
        ([0.0, 1.0], 0.0, 1),
        ([1.0, 0.0], ALMOST_ONE, 0),
        ([0.0, 0.0, 1.0, 0.0], ALMOST_ONE, 2),
        ([0.1] * 10 + [0.0], ALMOST_ONE, 9),  # these ten sum to less than one in float64
        ([1 / 3] * 3 + [0.0, 0.0], ALMOST_ONE, 2),
        ([1.0], ALMOST_ONE, 0),
    ],
)
def test_a_draw_inverts_the_cumulative_distribution(chances: list[float], u: float, index: int) -> None:
    assert draw(np.array(chances), u) == index


@given(
    weights=st.lists(st.just(0.0) | st.floats(1e-6, 1.0), min_size=1, max_size=12).filter(any),
    u=st.sampled_from([0.0, ALMOST_ONE]) | st.floats(0.0, 1.0, exclude_max=True),
)
def test_an_arm_without_a_chance_is_never_drawn(weights: list[float], u: float) -> None:
    chances = np.array(weights) / sum(weights)
    assert chances[draw(chances, u)] > 0
