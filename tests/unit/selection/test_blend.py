"""The arm that combines the others, in the service."""

from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from laserve.bandit.state.fold import BanditState
from laserve.service import Service
from laserve.types import Decision, Feedback
from services import answered, fake_service

ARMS = [
    {"name": "loglik", "kind": "loglik"},
    *({"name": name, "kind": "fake", "options": {"salt": name}} for name in ("one", "two")),
    {"name": "blend", "kind": "blend"},
]


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    flags = {"arms": ARMS, "scoring": {"shadow_share": 1.0}, "context": {"tasks": ["math"]}}
    async with fake_service(**flags) as made:
        yield made


async def teach(service: Service, by: str, **changes: Any) -> Decision:
    """A decision, and that its candidates are as good as an arm says."""
    decision = await answered(service, policy="fixed:blend", **changes)
    scores = np.array(decision.scores[by], dtype=float)
    rewards = ((scores - scores.min()) / (np.ptp(scores) or 1.0)).tolist()
    key = str(service.learner.state.position)
    await service.feedback.record(
        Feedback(decision_id=decision.id, kind="candidate_rewards", value=rewards, idempotency_key=key)
    )
    return decision


async def test_it_asks_all_others_and_has_scores_of_its_own(service: Service) -> None:
    decision = await answered(service, policy="fixed:blend")
    assert (decision.arm, decision.scored_by) == ("blend", "blend")
    assert decision.scores.keys() == {"loglik", "one", "two", "blend"}
    assert decision.propensity == 1.0


async def test_at_first_it_is_the_mean_of_z_scores(service: Service) -> None:
    decision = await answered(service, policy="fixed:blend")
    mean = (await answered(service, policy="ensemble-mean")).scores["ensemble-mean"]
    assert np.argsort(decision.scores["blend"]).tolist() == np.argsort(mean).tolist()


async def test_it_comes_to_follow_the_arm_that_is_right(service: Service) -> None:
    for number in range(60):
        await teach(service, "two", question=f"question {number}")
    decision = await answered(service, policy="fixed:blend", question="another question")
    assert decision.choices["blend"] == decision.choices["two"]
    assert np.corrcoef(decision.scores["blend"], decision.scores["two"])[0, 1] > 0.9


async def test_it_learns_apart_for_declared_tasks(service: Service) -> None:
    for number in range(60):
        await teach(service, "two", question=f"question {number}", task="math")
        await teach(service, "one", question=f"question {number}", task="never declared")
    for task, arm in (("math", "two"), ("another", "one")):
        decision = await answered(service, policy="fixed:blend", question="new", task=task)
        assert decision.choices["blend"] == decision.choices[arm]
    assert service.learner.state.blending.tasks.keys() == {"math", "other"}


async def test_where_all_have_scored_it_is_known_what_it_would_have_returned(service: Service) -> None:
    decision = await answered(service, policy="ensemble-rank")
    assert "blend" in decision.choices


async def test_in_the_shadow_it_learns_what_it_would_have_returned(service: Service) -> None:
    decision = await answered(service, policy="fixed:one")
    assert "blend" not in decision.scores
    await service.shadows.wait(decision.id)
    whole = await service.store.decision(decision.id)
    itself = await answered(service, policy="fixed:blend")
    assert whole.scores["blend"] == pytest.approx(itself.scores["blend"])
    assert whole.choices["blend"] == itself.index


async def test_a_correction_takes_its_lesson_back(service: Service) -> None:
    decision = await teach(service, "one")
    await service.feedback.record(
        Feedback(
            decision_id=decision.id,
            kind="candidate_rewards",
            value=[0.5] * len(decision.candidates),
            idempotency_key="correction",
        )
    )
    weights = service.learner.state.blending.weights("none", ("loglik", "one", "two"))
    assert weights == pytest.approx(np.full(3, weights[0]))


async def test_a_snapshot_holds_what_was_learned(service: Service) -> None:
    for number in range(5):
        await teach(service, "two", question=f"question {number}")
    state = service.learner.state
    again = BanditState.from_bytes(state.to_bytes())
    assert again.digest() == state.digest()
    assert again.blending == state.blending
    assert len(again.examples.by_decision) == len(state.examples.by_decision) > 0
    assert again.to_bytes() == state.to_bytes()


async def test_a_thumb_says_nothing_of_other_candidates(service: Service) -> None:
    decision = await answered(service, policy="fixed:blend")
    await service.feedback.record(Feedback(decision_id=decision.id, kind="reward", value=1.0))
    assert service.learner.state.blending.tasks == {}
