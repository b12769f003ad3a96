"""A policy under observation."""

import numpy as np
import pytest

from builders import KnownView
from laserve.bandit.policies.baselines import FixedArm, RandomArm
from laserve.bandit.policies.observed import Observed

ARMS = ("a", "b", "c", "d")


def chances(share: float, arms: tuple[str, ...] = ARMS) -> list[float]:
    observed = Observed(policy=RandomArm(), arm="b", live_share=share)
    return observed.probabilities(KnownView(), np.ones(2), arms, 0).tolist()


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.0, [0, 1, 0, 0]), (0.2, [0.05, 0.85, 0.05, 0.05]), (1.0, [0.25, 0.25, 0.25, 0.25])],
)
def test_the_chances_are_those_of_the_mixture(share: float, expected: list[float]) -> None:
    assert chances(share) == pytest.approx(expected)


def test_the_policy_answers_where_the_arm_cannot() -> None:
    assert chances(0.0, ("a", "c")) == [0.5, 0.5]


def test_its_name_tells_that_it_is_observed() -> None:
    assert Observed(policy=FixedArm("a"), arm="b", live_share=0.0).name == "observe:fixed:a"
