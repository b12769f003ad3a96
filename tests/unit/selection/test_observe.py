"""Mode `observe`: one arm answers, and the policy's choice is logged and learned from."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from laserve.errors import ArmConflict, ConfigError
from laserve.service import Service
from laserve.types import Feedback
from services import answered, fake_service

ARMS = [{"name": name, "kind": "fake", "options": {"salt": name}} for name in ("one", "two", "three")]


@asynccontextmanager
async def serving(**policy: Any) -> AsyncIterator[Service]:
    observe = {"mode": "observe", "observe_arm": "two", "name": "random"} | policy
    flags = {"arms": ARMS, "policy": observe, "scoring": {"shadow_share": 1.0}}
    async with fake_service(**flags) as made:
        yield made


async def test_the_observed_arm_answers_and_the_choice_is_logged() -> None:
    async with serving() as service:
        decisions = [await answered(service, question=f"question {number}") for number in range(60)]
        assert {(each.arm, each.scored_by, each.propensity) for each in decisions} == {("two", "two", 1.0)}
        preferred = Counter(each.preferred for each in decisions)
        assert preferred.keys() == {"one", "two", "three"}
        stored = await service.store.decision(decisions[0].id)
        assert (stored.preferred, stored.policy) == (decisions[0].preferred, "observe:random")


async def test_a_live_share_lets_the_policy_answer_with_the_chances_of_the_mixture() -> None:
    async with serving(live_share=0.6) as service:
        decisions = [await answered(service, question=f"question {number}") for number in range(60)]
        assert {each.arm for each in decisions} == {"one", "two", "three"}
        for each in decisions:
            assert each.propensity == pytest.approx(0.6 if each.arm == "two" else 0.2)


async def test_arms_that_did_not_answer_learn_from_shadow_scores() -> None:
    async with serving() as service:
        decision = await answered(service)
        rewards = [0.5] * len(decision.candidates)
        await service.feedback.record(
            Feedback(decision_id=decision.id, kind="candidate_rewards", value=rewards)
        )
        assert all(arm.updates == 1 for arm in service.learner.state.arms.values())


async def test_a_request_may_name_another_policy() -> None:
    async with serving() as service:
        decision = await answered(service, policy="fixed:one")
        assert (decision.arm, decision.policy, decision.preferred) == ("one", "fixed:one", None)


async def test_the_arm_that_answers_cannot_be_drained() -> None:
    async with serving() as service:
        with pytest.raises(ArmConflict, match="the policy plays"):
            await service.lifecycle.move("two", "draining")


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"observe_arm": None}, r"policy.observe_arm: names no arm; .* one, two, three"),
        ({"observe_arm": "nobody"}, r"policy.observe_arm: names no arm"),
        ({"name": "ensemble-mean"}, r"policy.mode: 'ensemble-mean' draws no arm"),
    ],
)
async def test_settings_that_cannot_be_observed_stop_the_start(policy: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        async with serving(**policy):
            pass
