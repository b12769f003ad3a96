from collections.abc import Sequence
from dataclasses import dataclass, field
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import Script
from laserve.bandit.linear import LinearModel
from laserve.bandit.linucb import LinUCB
from laserve.bandit.state import BanditState
from laserve.types import Update, Vector

X = np.array([1.0, 0.0])


@dataclass
class View:
    """Means and widths as a test wants them, by arm."""

    mean: dict[str, float]
    width: dict[str, float] = field(default_factory=dict)
    decisions: int = 0

    def means(self, x: Vector, arms: Sequence[str]) -> Vector:
        return np.array([self.mean[arm] for arm in arms])

    def widths(self, x: Vector, arms: Sequence[str]) -> Vector:
        return np.array([self.width.get(arm, 0.0) for arm in arms])


def linucb(*, alpha: float = 1.0, epsilon: float = 0.0, start: float | None = None, until: int = 0) -> LinUCB:
    return LinUCB(
        alpha=alpha,
        epsilon=epsilon,
        epsilon_start=epsilon if start is None else start,
        epsilon_start_decisions=until,
    )


def taught_once() -> LinearModel:
    """Two arms of two features, ridge 1, prior mean 0; arm a has earned reward 1 at (1, 0)."""
    script = Script(prior_diagonal=[1.0, 1.0], prior_mean=[0.0, 0.0], arms=["a", "b"])
    script.teach("one", X, [Update(arm="a", reward=1.0)])
    model = LinearModel(BanditState())
    for event in script.events:
        model.apply(event)
    return model


@pytest.mark.parametrize(
    ("x", "alpha", "chosen"),
    [
        # A_a = diag(2, 1), b_a = (1, 0): theta_a = (1/2, 0), width of a at (1, 0) is sqrt(1/2), of b is 1.
        ([1.0, 0.0], 0.0, "a"),  # 1/2 against 0
        ([1.0, 0.0], 1.0, "a"),  # 1/2 + 0.707 against 1
        ([1.0, 0.0], 2.0, "b"),  # 1/2 + 1.414 against 2
        ([-1.0, 0.0], 0.0, "b"),  # -1/2 against 0
        # At (2, 1): mean 1, width of a sqrt(4/2 + 1) = 1.732, of b sqrt(5) = 2.236; they meet at alpha 1.984.
        ([2.0, 1.0], 1.98, "a"),
        ([2.0, 1.0], 1.99, "b"),
    ],
)
def test_the_arm_with_the_largest_upper_bound_is_played(x: list[float], alpha: float, chosen: str) -> None:
    chances = linucb(alpha=alpha).probabilities(taught_once(), np.array(x), ["a", "b"])
    assert dict(zip(["a", "b"], chances.tolist(), strict=True)) == {"a": chosen == "a", "b": chosen == "b"}


def test_the_bound_is_mean_plus_alpha_times_width() -> None:
    model = taught_once()
    np.testing.assert_allclose(model.means(X, ["a", "b"]), [0.5, 0.0])
    np.testing.assert_allclose(model.widths(X, ["a", "b"]), [sqrt(0.5), 1.0])
    # The bounds are equal at alpha = 0.5 / (1 - sqrt(0.5)); on either side of it another arm wins.
    even = 0.5 / (1 - sqrt(0.5))
    assert linucb(alpha=even - 1e-9).probabilities(model, X, ["a", "b"]).tolist() == [1.0, 0.0]
    assert linucb(alpha=even + 1e-9).probabilities(model, X, ["a", "b"]).tolist() == [0.0, 1.0]


def test_epsilon_is_shared_by_all_arms_the_best_one_included() -> None:
    chances = linucb(epsilon=0.2).probabilities(View({"a": 0.1, "b": 0.9, "c": 0.5}), X, ["a", "b", "c"])
    np.testing.assert_allclose(chances, [0.2 / 3, 0.8 + 0.2 / 3, 0.2 / 3])


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ([0.5, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]),
        ([0.5, 0.1, 0.5], [0.45 + 0.1 / 3, 0.1 / 3, 0.45 + 0.1 / 3]),
    ],
)
def test_arms_that_tie_share_the_greedy_chance(means: list[float], expected: list[float]) -> None:
    view = View(dict(zip("abc", means, strict=True)))
    np.testing.assert_allclose(linucb(epsilon=0.1).probabilities(view, X, list("abc")), expected)


def test_arms_that_have_learned_nothing_tie() -> None:
    script = Script(prior_diagonal=[1.0, 1.0], prior_mean=[0.5, 0.0], arms=["a", "b", "c", "d"])
    model = LinearModel(BanditState())
    for event in script.events:
        model.apply(event)
    chances = linucb().probabilities(model, np.array([1.0, 0.3]), ["a", "b", "c", "d"])
    assert chances.tolist() == [0.25] * 4


def test_only_the_eligible_arms_are_compared() -> None:
    view = View({"a": 0.9, "b": 0.5, "c": 0.1})
    assert linucb().probabilities(view, X, ["c", "b"]).tolist() == [0.0, 1.0]


@given(
    arms=st.dictionaries(
        st.text(min_size=1, max_size=3),
        st.tuples(st.floats(-10, 10), st.floats(0, 10)),
        min_size=1,
        max_size=9,
    ),
    alpha=st.floats(0, 5),
    epsilon=st.floats(0, 1),
)
def test_chances_sum_to_one_and_none_is_below_the_share_of_exploration(
    arms: dict[str, tuple[float, float]], alpha: float, epsilon: float
) -> None:
    view = View(
        {arm: mean for arm, (mean, _) in arms.items()}, {arm: width for arm, (_, width) in arms.items()}
    )
    chances = linucb(alpha=alpha, epsilon=epsilon).probabilities(view, X, list(arms))
    assert chances.sum() == pytest.approx(1.0, abs=1e-12)
    assert (chances >= epsilon / len(arms)).all()


@pytest.mark.parametrize(
    ("decisions", "epsilon"), [(0, 0.5), (1, 0.5), (99, 0.5), (100, 0.02), (101, 0.02), (10**6, 0.02)]
)
def test_epsilon_falls_after_so_many_learned_decisions(decisions: int, epsilon: float) -> None:
    policy = linucb(epsilon=0.02, start=0.5, until=100)
    assert policy.exploration(decisions) == epsilon
    chances = policy.probabilities(View({"a": 1.0, "b": 0.0}, decisions=decisions), X, ["a", "b"])
    np.testing.assert_allclose(chances, [1 - epsilon / 2, epsilon / 2])


def test_without_a_young_phase_the_long_run_epsilon_holds_from_the_start() -> None:
    assert linucb(epsilon=0.02, start=0.5, until=0).exploration(0) == 0.02
