"""Every policy in the whole service, with fakes for the models."""

from collections.abc import AsyncIterator

import pytest

from builders import make_request, make_sampling
from laserve.bandit.policies.averages import UCB1, EpsilonGreedy
from laserve.bandit.policies.exp3 import Exp3
from laserve.bandit.policies.exploration import Exploration
from laserve.bandit.policies.lints import LinTS
from laserve.bandit.policies.linucb import LinUCB
from laserve.bandit.policies.squarecb import SquareCB
from laserve.config import load as load_settings
from laserve.errors import ConfigError
from laserve.eventlog.learner import fold
from laserve.serve.lifespan import load, running
from laserve.serve.wiring import make_policies, make_service
from laserve.service import Service
from laserve.types import Decision, Feedback

ARMS = ("loglik", "consensus", "relevance")
NAMES = (
    "linucb",
    "lints",
    "squarecb",
    "epsilon-greedy",
    "ucb1",
    "exp3",
    "random",
    "round-robin",
    "fixed:loglik",
)
SAMPLING = make_sampling(n=2)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """The fake service, whose log has a discount."""
    arms = [{"name": name, "kind": name} for name in ARMS]
    policy = {"discount": 0.9, "epsilon_start": 0.2, "posterior_draws": 20}
    made = make_service(load_settings(profile="fake", flags={"arms": arms, "policy": policy}))
    async with running(made):
        await load(made)
        yield made


async def answered(service: Service, policy: str | None = None) -> Decision:
    async for step in service.answerer.answer(make_request(sampling=SAMPLING, policy=policy), key=""):
        if isinstance(step, Decision):
            return step
    raise AssertionError("no decision")


@pytest.mark.parametrize("name", NAMES)
async def test_a_policy_answers_and_what_is_said_of_its_answers_teaches_all(
    service: Service, name: str
) -> None:
    for number in range(6):
        decision = await answered(service, name)
        chances = {why.arm: why.probability for why in decision.why}
        assert decision.policy == name
        assert decision.propensity == chances[decision.arm] > 0
        assert sum(chances.values()) == pytest.approx(1.0)
        said = Feedback(decision_id=decision.id, kind="reward", value=number / 5)
        assert (await service.feedback.record(said)).learned
    state = service.learner.state
    assert state.decisions == 6
    assert state.discount == 0.9
    assert sum(arm.pulls for arm in state.arms.values()) == 6
    assert sum(arm.loss for arm in state.arms.values()) > 0
    assert (await fold(service.store)).digest() == state.digest()


async def test_round_robin_asks_each_arm_in_turn_without_any_feedback(service: Service) -> None:
    drawn = [(await answered(service, "round-robin")).arm for _ in range(7)]
    assert drawn == [sorted(ARMS)[number % 3] for number in range(7)]


async def test_the_settings_reach_the_policies(service: Service) -> None:
    settings = load_settings(
        profile="fake",
        flags={
            "policy": {
                "alpha": 0.5,
                "posterior_scale": 2,
                "posterior_draws": 7,
                "gap_scale": 3,
                "epsilon": 0.01,
                "epsilon_start": 0.3,
                "epsilon_start_decisions": 9,
            }
        },
    )
    policies = make_policies(settings.policy, lambda: ARMS)
    exploration = Exploration(epsilon=0.01, epsilon_start=0.3, epsilon_start_decisions=9)
    assert [policies.get(name) for name in NAMES[:6]] == [
        LinUCB(exploration=exploration, alpha=0.5),
        LinTS(exploration=exploration, scale=2.0, draws=7),
        SquareCB(exploration=exploration, gap_scale=3.0),
        EpsilonGreedy(exploration=exploration),
        UCB1(exploration=exploration),
        Exp3(exploration=exploration),
    ]


@pytest.mark.parametrize("name", [*NAMES[:-1], "fixed:loglik"])
def test_every_policy_can_be_configured(name: str) -> None:
    assert make_service(load_settings(profile="fake", flags={"policy": {"name": name}}))


def test_a_policy_that_there_is_not_is_refused_at_the_start_with_those_there_are() -> None:
    with pytest.raises(
        ConfigError, match=r"^policy\.name: no policy 'best'; there are: linucb, lints, .*fixed:ARM$"
    ):
        make_service(load_settings(profile="fake", flags={"policy": {"name": "best"}}))
