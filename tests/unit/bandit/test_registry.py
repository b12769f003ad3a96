import pytest

from laserve.bandit.baselines import FixedArm, RandomArm
from laserve.bandit.linucb import LinUCB
from laserve.bandit.registry import Policies
from laserve.errors import InvalidRequest

LINUCB = LinUCB(alpha=1.0, epsilon=0.02, epsilon_start=0.1, epsilon_start_decisions=10)
POLICIES = Policies(linucb=LINUCB, arms=lambda: ["loglik", "consensus"])


def test_policies_are_found_by_name() -> None:
    assert POLICIES.get("linucb") is LINUCB
    assert POLICIES.get("random") == RandomArm()
    assert POLICIES.get("fixed:consensus") == FixedArm("consensus")


@pytest.mark.parametrize("name", ["linucb", "random", "fixed:loglik"])
def test_a_policy_tells_the_name_it_was_asked_for_by(name: str) -> None:
    assert POLICIES.get(name).name == name


@pytest.mark.parametrize(
    "name", ["", "greedy", "LinUCB", "linucb:2", "linucb:", "random:1", "fixed", " random"]
)
def test_an_unknown_policy_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"there are: linucb, random, fixed:ARM$") as caught:
        POLICIES.get(name)
    assert caught.value.param == "policy"
    assert repr(name) in caught.value.message


@pytest.mark.parametrize("arm", ["", "nobody", "LogLik", "loglik:"])
def test_a_fixed_policy_of_an_unknown_arm_is_refused_with_the_arms_there_are(arm: str) -> None:
    with pytest.raises(InvalidRequest, match=r"there are: loglik, consensus$") as caught:
        POLICIES.get(f"fixed:{arm}")
    assert caught.value.param == "policy"
    assert repr(arm) in caught.value.message
