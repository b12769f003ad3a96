import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laserve.bandit.offpolicy.progressive import predictions

ROWS, ARMS, D = 200, 3, 4  # more than two blocks of an arm's rows


def lessons(seed: int, rows: int = ROWS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Contexts, rewards, and shares of one to three arms in each row."""
    generator = np.random.default_rng(seed)
    shares = generator.random((rows, ARMS)) * (generator.random((rows, ARMS)) < 0.6)
    shares[shares.sum(axis=1) == 0, 0] = 1.0
    return generator.normal(size=(rows, D)), generator.random(rows), shares / shares.sum(axis=1)[:, None]


def closed_form(x: np.ndarray, reward: np.ndarray, share: np.ndarray, ridge: float) -> np.ndarray:
    return np.linalg.solve(ridge * np.eye(D) + (share[:, None] * x).T @ x, (share * (reward - 0.5)) @ x)


@pytest.mark.parametrize("ridge", [0.1, 1.0, 30.0])
def test_each_prediction_is_the_ridge_solution_over_the_earlier_rows(ridge: float) -> None:
    x, reward, shares = lessons(1)
    predicted = predictions(x, reward, shares, ridge=ridge)
    for row in range(ROWS):
        for arm in range(ARMS):
            theta = closed_form(x[:row], reward[:row], shares[:row, arm], ridge)
            assert predicted[row, arm] == pytest.approx(np.clip(0.5 + x[row] @ theta, 0, 1), abs=1e-9)


def test_a_half_is_expected_of_an_arm_that_nothing_is_known_of() -> None:
    x, reward, shares = lessons(2)
    shares = np.column_stack([shares, np.zeros(ROWS)])
    predicted = predictions(x, reward, shares)
    np.testing.assert_array_equal(predicted[0], 0.5)
    np.testing.assert_array_equal(predicted[:, -1], 0.5)


def test_features_may_have_ridges_of_their_own() -> None:
    x, reward, shares = lessons(3)
    scale = np.array([1.0, 2.0, 3.0, 4.0])
    np.testing.assert_allclose(
        predictions(x * scale, reward, shares, ridge=scale**2), predictions(x, reward, shares), atol=1e-9
    )


@given(cut=st.integers(1, ROWS - 1))
def test_no_prediction_knows_of_its_own_row_s_reward_or_of_later_rows(cut: int) -> None:
    x, reward, shares = lessons(4)
    others = lessons(5)
    mixed = [
        np.concatenate([ours[:cut], theirs[cut:]])
        for ours, theirs in zip((x, reward, shares), others, strict=True)
    ]
    mixed[0][cut] = x[cut]
    np.testing.assert_allclose(
        predictions(*mixed)[: cut + 1], predictions(x, reward, shares)[: cut + 1], atol=1e-12
    )


def test_predictions_stay_within_the_range_of_rewards() -> None:
    x = np.linspace(0, 50, ROWS)[:, None]
    predicted = predictions(x, np.ones(ROWS), np.ones((ROWS, 1)))
    assert predicted.max() == 1.0
    assert predicted.min() >= 0.0


def test_a_long_log_keeps_to_the_ridge_solution() -> None:
    x, reward, shares = lessons(6, rows=20_000)
    theta = closed_form(x[:-1], reward[:-1], shares[:-1, 0], 1.0)
    assert predictions(x, reward, shares)[-1, 0] == pytest.approx(0.5 + x[-1] @ theta, abs=1e-9)
