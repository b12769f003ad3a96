import pytest

from builders import make_exploration
from laserve.bandit.policies.averages import UCB1, EpsilonGreedy
from laserve.bandit.policies.baselines import FixedArm, RandomArm, RoundRobin
from laserve.bandit.policies.classifier import Classifier
from laserve.bandit.policies.exp3 import Exp3
from laserve.bandit.policies.lints import LinTS
from laserve.bandit.policies.linucb import LinUCB
from laserve.bandit.policies.observed import Observed
from laserve.bandit.policies.registry import Policies, learners
from laserve.bandit.policies.squarecb import SquareCB
from laserve.errors import InvalidRequest

EXPLORATION = make_exploration(0.02, start=0.1, until=10)
LEARNERS = learners(
    exploration=EXPLORATION, alpha=1.5, posterior_scale=0.5, posterior_draws=30, gap_scale=5.0
)
POLICIES = Policies(learners=LEARNERS, arms=lambda: ["loglik", "consensus"])
NAMES = (
    "linucb",
    "lints",
    "squarecb",
    "epsilon-greedy",
    "ucb1",
    "exp3",
    "classifier",
    "random",
    "round-robin",
    "ensemble-mean",
    "ensemble-rank",
    "fixed:ARM",
)


def test_policies_are_found_by_name_with_their_parameters() -> None:
    assert POLICIES.get("linucb") == LinUCB(exploration=EXPLORATION, alpha=1.5)
    assert POLICIES.get("lints") == LinTS(exploration=EXPLORATION, scale=0.5, draws=30)
    assert POLICIES.get("squarecb") == SquareCB(exploration=EXPLORATION, gap_scale=5.0)
    assert POLICIES.get("epsilon-greedy") == EpsilonGreedy(exploration=EXPLORATION)
    assert POLICIES.get("ucb1") == UCB1(exploration=EXPLORATION)
    assert POLICIES.get("exp3") == Exp3(exploration=EXPLORATION)
    assert POLICIES.get("classifier") == Classifier(exploration=EXPLORATION)
    assert POLICIES.get("random") == RandomArm()
    assert POLICIES.get("round-robin") == RoundRobin()
    assert POLICIES.get("fixed:consensus") == FixedArm("consensus")


def test_the_names_there_are_can_be_listed() -> None:
    assert POLICIES.names == NAMES


def test_the_configured_policy_answers_where_a_request_names_none() -> None:
    arms = ["loglik", "consensus"]
    made = Policies(learners=LEARNERS, arms=lambda: arms, configured="exp3")
    assert made.configured == Exp3(exploration=EXPLORATION)
    observed = Policies(
        learners=LEARNERS, arms=lambda: arms, configured="exp3", observe=("loglik", 0.25)
    ).configured
    assert observed == Observed(policy=Exp3(exploration=EXPLORATION), arm="loglik", live_share=0.25)


@pytest.mark.parametrize("name", [*NAMES[:-1], "fixed:loglik"])
def test_a_policy_tells_the_name_it_was_asked_for_by(name: str) -> None:
    assert POLICIES.get(name).name == name


@pytest.mark.parametrize(
    "name", ["", "greedy", "LinUCB", "linucb:2", "linucb:", "random:1", "fixed", " random", "exp3:", "UCB1"]
)
def test_an_unknown_policy_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        POLICIES.get(name)
    assert caught.value.param == "policy"
    assert caught.value.message == f"policy: no policy {name!r}; there are: {', '.join(NAMES)}"


@pytest.mark.parametrize("arm", ["", "nobody", "LogLik", "loglik:"])
def test_a_fixed_policy_of_an_unknown_arm_is_refused_with_the_arms_there_are(arm: str) -> None:
    with pytest.raises(InvalidRequest, match=r"there are: loglik, consensus$") as caught:
        POLICIES.get(f"fixed:{arm}")
    assert caught.value.param == "policy"
    assert repr(arm) in caught.value.message
