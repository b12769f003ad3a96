from math import erf, sqrt

import numpy as np
import pytest

from builders import KnownView, make_exploration
from laserve.bandit.policies.lints import LinTS

X = np.ones(1)
ARMS = ["a", "b", "c"]


def lints(*, scale: float = 1.0, draws: int = 1, epsilon: float = 0.0) -> LinTS:
    return LinTS(exploration=make_exploration(epsilon), scale=scale, draws=draws)


def normal_above(z: float) -> float:
    """Chance that a standard normal is below z."""
    return 0.5 * (1 + erf(z / sqrt(2)))


@pytest.mark.parametrize(
    ("means", "widths", "scale"),
    [((0.5, 0.4), (0.2, 0.1), 1.0), ((0.5, 0.4), (0.2, 0.1), 3.0), ((0.1, 0.9), (0.5, 0.3), 0.5)],
)
def test_shares_go_to_the_chance_of_being_best_by_the_posteriors(
    means: tuple[float, float], widths: tuple[float, float], scale: float
) -> None:
    view = KnownView(mean=dict(zip("ab", means, strict=True)), width=dict(zip("ab", widths, strict=True)))
    exact = normal_above((means[0] - means[1]) / (scale * sqrt(widths[0] ** 2 + widths[1] ** 2)))
    draws = 200_000
    share = lints(scale=scale, draws=draws).probabilities(view, X, ["a", "b"], 5)[0]
    assert share == pytest.approx(exact, abs=4 * sqrt(exact * (1 - exact) / draws))


def test_shares_of_few_draws_average_to_the_same_over_decisions() -> None:
    # That is what makes weights by the logged propensity unbiased.
    view = KnownView(mean={"a": 0.5, "b": 0.4}, width={"a": 0.2, "b": 0.1})
    exact = normal_above(0.1 / sqrt(0.05))
    few = [lints(draws=10).probabilities(view, X, ["a", "b"], seed)[0] for seed in range(4000)]
    assert np.mean(few) == pytest.approx(exact, abs=4 * np.std(few) / sqrt(len(few)))
    assert np.std(few) == pytest.approx(sqrt(exact * (1 - exact) / 10), rel=0.1)


def test_shares_are_multiples_of_one_draw() -> None:
    view = KnownView(mean=dict.fromkeys(ARMS, 0.5), width=dict.fromkeys(ARMS, 1.0))
    shares = lints(draws=8).probabilities(view, X, ARMS, 1)
    assert (shares * 8 == np.round(shares * 8)).all()


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_arms_without_any_doubt_are_compared_by_their_means_and_share_where_they_tie(scale: float) -> None:
    view = KnownView(mean={"a": 0.5, "b": 0.5, "c": 0.4}, width={} if scale else {"c": 9.0})
    assert lints(scale=scale, draws=3).probabilities(view, X, ARMS, 1).tolist() == [0.5, 0.5, 0.0]


def test_an_arm_that_wins_no_draw_has_its_part_of_epsilon() -> None:
    view = KnownView(mean={"a": 1.0}, width=dict.fromkeys(ARMS, 1e-6))
    chances = lints(draws=5, epsilon=0.3).probabilities(view, X, ARMS, 1)
    np.testing.assert_allclose(chances, [0.8, 0.1, 0.1])
