"""The view of a replay tells what the service's own view tells."""

import numpy as np
import pytest

from laserve.lab.replay.view import View

VIEW = View(
    decisions=7,
    evidence=5.5,
    turns=9,
    arms=("a", "b", "c"),
    mean=np.array([0.1, 0.2, 0.3]),
    width=np.array([1.0, 2.0, 3.0]),
    count=np.array([0.0, 2.0, 4.0]),
    reward_sum=np.array([0.0, 1.0, 3.0]),
    loss=np.array([5.0, 6.0, 7.0]),
    best=lambda x, arms: np.array([float(arm == "b") for arm in arms]),
)
X = np.ones(2)


@pytest.mark.parametrize(
    ("arms", "means", "averages", "losses"),
    [
        (VIEW.arms, [0.1, 0.2, 0.3], [0.0, 0.5, 0.75], [5.0, 6.0, 7.0]),
        (("c", "a"), [0.3, 0.1], [0.75, 0.0], [7.0, 5.0]),
    ],
)
def test_arms_are_told_in_the_order_asked_for(
    arms: tuple[str, ...], means: list[float], averages: list[float], losses: list[float]
) -> None:
    assert VIEW.means(X, arms).tolist() == means
    assert VIEW.widths(X, arms).tolist() == [10 * mean for mean in means]
    assert VIEW.averages(arms).tolist() == averages
    assert VIEW.losses(arms).tolist() == losses
    assert len(VIEW.counts(arms)) == len(arms)
    assert VIEW.preferences(X, arms).tolist() == [float(arm == "b") for arm in arms]


def test_turns_are_the_arms_drawn() -> None:
    assert (VIEW.decisions, VIEW.evidence, VIEW.turn("round-robin")) == (7, 5.5, 9)
