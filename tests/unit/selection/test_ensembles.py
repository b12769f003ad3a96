"""Ensembles: all arms score a request, and their combined scores choose."""

from collections.abc import AsyncIterator

import numpy as np
import pytest

from laserve.bandit.policies.ensembles import ENSEMBLES
from laserve.service import Service
from laserve.types import Feedback
from services import answered, fake_service

FAKES = [{"name": name, "kind": "fake", "options": {"salt": name}} for name in ("one", "two")]
FAILING = {"name": "three", "kind": "fake", "options": {"fail_after": 1}}  # its self-test passes


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    flags = {"arms": [{"name": "loglik", "kind": "loglik"}, *FAKES, FAILING]}
    async with fake_service(**flags) as made:
        yield made


@pytest.mark.parametrize("name", ENSEMBLES)
async def test_the_best_by_all_arms_goes_back(service: Service, name: str) -> None:
    decision = await answered(service, policy=name)
    assert (decision.arm, decision.scored_by, decision.policy) == (name, name, name)
    assert decision.scores.keys() == {"loglik", "one", "two", name}
    rows = {arm: np.array(decision.scores[arm], dtype=float) for arm in ("loglik", "one", "two")}
    together = ENSEMBLES[name].combine(rows)
    assert decision.scores[name] == pytest.approx(together)
    assert decision.score == pytest.approx(together.max())


async def test_an_arm_that_fails_is_left_out_and_named(service: Service) -> None:
    decision = await answered(service, policy="ensemble-mean")
    assert decision.degraded == ("arm_failed: three: told to fail",)


@pytest.mark.parametrize("name", ENSEMBLES)
async def test_it_has_no_propensity_and_teaches_nobody(service: Service, name: str) -> None:
    decision = await answered(service, policy=name)
    assert decision.propensity is None
    assert all(why.probability == 0 for why in decision.why)
    rewards = [0.5] * len(decision.candidates)
    outcome = await service.feedback.record(
        Feedback(decision_id=decision.id, kind="candidate_rewards", value=rewards)
    )
    assert not outcome.learned
    assert all(arm.updates == 0 for arm in service.learner.state.arms.values())


async def test_a_pinned_arm_goes_before_an_ensemble(service: Service) -> None:
    decision = await answered(service, policy="ensemble-mean", arm="one")
    assert (decision.arm, decision.scored_by) == ("one", "one")
    assert decision.scores.keys() == {"loglik", "one"}
