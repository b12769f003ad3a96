"""The scores of the arms that did not score a request, computed after its answer."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from builders import make_request
from laserve.selection import shadow as shadowing
from laserve.service import Service
from laserve.types import Decision, Feedback
from services import answered, fake_service

ARMS = [
    {"name": "loglik", "kind": "loglik"},
    *({"name": name, "kind": "fake", "options": {"salt": name}} for name in ("one", "two")),
]


@asynccontextmanager
async def serving(share: float, arms: list[dict[str, Any]] = ARMS) -> AsyncIterator[Service]:
    flags = {"arms": arms, "scoring": {"shadow_share": share}, "policy": {"name": "random"}}
    async with fake_service(**flags) as made:
        yield made


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """Every arm scores every request."""
    async with serving(1.0) as made:
        yield made


async def logged(service: Service, decision: Decision) -> Decision:
    """The decision as it stands once no scores are outstanding."""
    await service.shadows.wait(decision.id)
    return await service.store.decision(decision.id)


def value(service: Service, name: str, **labels: str) -> float:
    return service.metrics.registry.get_sample_value(name, labels) or 0.0


@contextmanager
def busy(service: Service) -> Iterator[None]:
    """In the block all permits are taken."""
    service.permits.taken = service.permits.limit
    yield
    service.permits.taken = 0


async def test_all_arms_score_a_shadowed_request(service: Service) -> None:
    decision = await answered(service, policy="fixed:one")
    assert decision.scores.keys() == {"loglik", "one"}
    whole = await logged(service, decision)
    assert whole.shadowed
    assert whole.scores.keys() == whole.choices.keys() == {"loglik", "one", "two"}
    assert whole.scores["one"] == decision.scores["one"]
    assert value(service, "laserve_shadow_total", outcome="scored") == 1


async def test_the_scores_are_those_that_the_arm_would_have_given(service: Service) -> None:
    shadow = await logged(service, await answered(service, policy="fixed:one"))
    itself = await answered(service, policy="fixed:two")
    assert shadow.scores["two"] == itself.scores["two"]
    assert shadow.choices["two"] == itself.index


async def test_feedback_at_once_waits_for_them_and_teaches_every_arm(service: Service) -> None:
    decision = await answered(service, policy="fixed:one")
    rewards = [0.25] * len(decision.candidates)
    await service.feedback.record(Feedback(decision_id=decision.id, kind="candidate_rewards", value=rewards))
    assert {name: arm.updates for name, arm in service.learner.state.arms.items()} == {
        "loglik": 1,
        "one": 1,
        "two": 1,
    }
    assert service.learner.state.arms["two"].pulls == 0


async def test_agreement_is_counted_by_the_text_that_was_returned(service: Service) -> None:
    decision = await logged(service, await answered(service, policy="fixed:one"))
    returned = decision.same_text[decision.index]
    for name, best in decision.choices.items():
        agrees = "yes" if decision.same_text[best] == returned else "no"
        assert value(service, "laserve_rm_shadow_total", arm=name, agrees=agrees) == 1
    assert value(service, "laserve_rm_shadow_total", arm="one", agrees="yes") == 1


async def test_the_share_is_drawn_by_the_decision_and_not_by_the_arm() -> None:
    async with serving(0.25) as service:
        ids = [f"decision {number}" for number in range(4000)]
        wanted = [service.shadows.selects(each) for each in ids]
        assert sum(wanted) == pytest.approx(1000, abs=4 * (4000 * 0.25 * 0.75) ** 0.5)
        assert wanted == [service.shadows.selects(each) for each in ids]


async def test_nothing_is_scored_without_a_share_or_for_a_pinned_arm(service: Service) -> None:
    pinned = await logged(service, await answered(service, arm="one"))
    async with serving(0.0) as other:
        plain = await logged(other, await answered(other, policy="fixed:one"))
    assert [decision.shadowed for decision in (pinned, plain)] == [False, False]
    assert pinned.scores.keys() == plain.scores.keys() == {"loglik", "one"}


async def test_an_arm_that_fails_costs_its_own_scores_alone() -> None:
    failing = {"name": "three", "kind": "fake", "options": {"fail_after": 1}}  # its self-test passes
    async with serving(1.0, [*ARMS, failing]) as service:
        decision = await logged(service, await answered(service, policy="fixed:one"))
        assert decision.scores.keys() == {"loglik", "one", "two"}
        assert value(service, "laserve_shadow_total", outcome="failed") == 1


async def test_they_wait_while_the_service_is_busy(service: Service) -> None:
    with busy(service):
        decision = await answered(service, policy="fixed:one")
        for _ in range(10):
            await asyncio.sleep(0)
        assert (await service.store.decision(decision.id)).scores.keys() == {"loglik", "one"}
    assert (await logged(service, decision)).scores.keys() == {"loglik", "one", "two"}


async def test_what_finds_no_time_is_dropped_and_counted(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadowing, "_PATIENCE_S", 0.0)
    with busy(service):
        decision = await logged(service, await answered(service, policy="fixed:one"))
    assert decision.scores.keys() == {"loglik", "one"}
    assert value(service, "laserve_shadow_total", outcome="dropped") == 1


async def test_a_full_queue_drops_the_newest(service: Service) -> None:
    with busy(service):
        decision = await answered(service, policy="fixed:one")
        for _ in range(shadowing._QUEUE + 1):
            service.shadows.submit(make_request(), decision)
        assert value(service, "laserve_shadow_total", outcome="dropped") >= 1


async def test_a_decision_that_was_deleted_meanwhile_stays_deleted(service: Service) -> None:
    with busy(service):
        decision = await answered(service, policy="fixed:one")
        await service.store.erase(decision.id, 1.0)
    await service.shadows.wait(decision.id)
    assert value(service, "laserve_shadow_total", outcome="failed") == 1
