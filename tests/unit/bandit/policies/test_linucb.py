from collections.abc import Sequence
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import KnownView, Script, make_exploration
from laserve.bandit.policies.base import View
from laserve.bandit.policies.linucb import LinUCB
from laserve.bandit.state.fold import BanditState
from laserve.bandit.state.linear import LinearModel
from laserve.types import Update, Vector

X = np.array([1.0, 0.0])


def linucb(*, alpha: float = 1.0, epsilon: float = 0.0) -> LinUCB:
    return LinUCB(alpha=alpha, exploration=make_exploration(epsilon))


def chances(policy: LinUCB, view: View, arms: Sequence[str], x: Vector = X) -> Vector:
    return policy.probabilities(view, x, arms, 0)


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
    drawn = chances(linucb(alpha=alpha), taught_once(), ["a", "b"], np.array(x))
    assert dict(zip(["a", "b"], drawn.tolist(), strict=True)) == {"a": chosen == "a", "b": chosen == "b"}


def test_the_bound_is_mean_plus_alpha_times_width() -> None:
    model = taught_once()
    np.testing.assert_allclose(model.means(X, ["a", "b"]), [0.5, 0.0])
    np.testing.assert_allclose(model.widths(X, ["a", "b"]), [sqrt(0.5), 1.0])
    # The bounds are equal at alpha = 0.5 / (1 - sqrt(0.5)); on either side of it another arm wins.
    even = 0.5 / (1 - sqrt(0.5))
    assert chances(linucb(alpha=even - 1e-9), model, ["a", "b"]).tolist() == [1.0, 0.0]
    assert chances(linucb(alpha=even + 1e-9), model, ["a", "b"]).tolist() == [0.0, 1.0]


def test_epsilon_is_shared_by_all_arms_the_best_one_included() -> None:
    view = KnownView(mean={"a": 0.1, "b": 0.9, "c": 0.5})
    drawn = chances(linucb(epsilon=0.2), view, ["a", "b", "c"])
    np.testing.assert_allclose(drawn, [0.2 / 3, 0.8 + 0.2 / 3, 0.2 / 3])


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ([0.5, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]),
        ([0.5, 0.1, 0.5], [0.45 + 0.1 / 3, 0.1 / 3, 0.45 + 0.1 / 3]),
    ],
)
def test_arms_that_tie_share_the_greedy_chance(means: list[float], expected: list[float]) -> None:
    view = KnownView(mean=dict(zip("abc", means, strict=True)))
    np.testing.assert_allclose(chances(linucb(epsilon=0.1), view, list("abc")), expected)


def test_arms_that_have_learned_nothing_tie() -> None:
    script = Script(prior_diagonal=[1.0, 1.0], prior_mean=[0.5, 0.0], arms=["a", "b", "c", "d"])
    model = LinearModel(BanditState())
    for event in script.events:
        model.apply(event)
    assert chances(linucb(), model, ["a", "b", "c", "d"], np.array([1.0, 0.3])).tolist() == [0.25] * 4


def test_only_the_eligible_arms_are_compared() -> None:
    view = KnownView(mean={"a": 0.9, "b": 0.5, "c": 0.1})
    assert chances(linucb(), view, ["c", "b"]).tolist() == [0.0, 1.0]


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
    view = KnownView(
        mean={arm: mean for arm, (mean, _) in arms.items()},
        width={arm: width for arm, (_, width) in arms.items()},
    )
    drawn = chances(linucb(alpha=alpha, epsilon=epsilon), view, list(arms))
    assert drawn.sum() == pytest.approx(1.0, abs=1e-12)
    assert (drawn >= epsilon / len(arms)).all()
