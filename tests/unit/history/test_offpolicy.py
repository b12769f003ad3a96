"""Evaluation of frozen policies on a log of the fake service."""

from collections.abc import AsyncIterator, Sequence
from itertools import count
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from laserve.bandit.offpolicy.estimators import CannotSay, Estimate
from laserve.errors import InvalidRequest
from laserve.history.offpolicy import Report
from laserve.selection import answer
from laserve.service import Service
from laserve.storage.base import Wanted
from laserve.types import Feedback
from services import answered, fake_service

ARMS = [{"name": name, "kind": "fake", "options": {"salt": name}} for name in ("good", "bad")]
#: Reward of each arm's answers.
EARNS = {"good": 0.8, "bad": 0.1}
DECISIONS = 400


@pytest.fixture(autouse=True)
def ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same ids in every run: draws follow from them, and one interval in twenty may miss by chance."""
    numbers = count()
    made = SimpleNamespace(uuid7=lambda: UUID(int=next(numbers)))
    monkeypatch.setattr(answer, "uuid_utils", made)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    flags = {"arms": ARMS, "policy": {"name": "random", "learn_from": "reward"}}
    async with fake_service(**flags) as made:
        yield made


async def teach(service: Service, number: int = DECISIONS, *, every: int = 1) -> None:
    """Make decisions, and give every `every`-th one the reward of its arm."""
    for index in range(number):
        decision = await answered(service)
        if index % every == 0:
            feedback = Feedback(decision_id=decision.id, kind="reward", value=EARNS[decision.arm])
            await service.feedback.record(feedback)


async def report(service: Service, *policies: str, **wanted: Any) -> Report:
    return await service.evaluator.report(policies, Wanted(**wanted))


def values(result: Report, index: int = 0) -> Sequence[Any]:
    return [result.values[index].estimates[name] for name in ("ips", "snips", "dr")]


async def test_a_fixed_arm_is_worth_what_its_answers_earned(service: Service) -> None:
    await teach(service)
    result = await report(service, "fixed:good", "fixed:bad", "random")
    for index, worth in enumerate([0.8, 0.1, 0.45]):
        assert result.values[index].answered == result.values[index].decisions == DECISIONS
        for estimate in values(result, index):
            assert isinstance(estimate, Estimate)
            assert estimate.value == pytest.approx(worth, abs=0.08)
            assert estimate.low - 1e-9 <= worth <= estimate.high + 1e-9 or estimate.low == estimate.high
    assert isinstance(result.logged, Estimate)


async def test_policies_are_worth_what_was_earned_though_something_else_was_learned() -> None:
    policy = {"name": "random", "learn_from": "reward", "reward_scaling": "quantile"}
    async with fake_service(arms=ARMS, policy=policy) as service:
        await teach(service)
        scales = [event.body.get("scale") async for event in service.store.events() if event.updates]
        assert scales[-1] == [0.1, 0.8]
        result = await report(service, "fixed:good", "fixed:bad")
        for index, worth in enumerate([0.8, 0.1]):
            assert [each.value for each in values(result, index)] == pytest.approx([worth] * 3, abs=0.08)
        arms = service.learner.state.arms
        assert [arms[name].mean_reward for name in ("good", "bad")] == pytest.approx([0.8, 0.1])
        assert arms["good"].b[0] > 0.9 * arms["good"].updates * 0.8


async def test_a_position_stands_for_what_was_learned_there_and_is_judged_on_later_decisions(
    service: Service,
) -> None:
    await teach(service)
    position = service.learner.state.position - 150
    result = await report(service, str(position))
    assert result.values[0].decisions == 150


async def test_a_log_that_says_too_little_is_told_so(service: Service) -> None:
    await teach(service, 40)
    (first, *_) = values(await report(service, "fixed:good"))
    assert isinstance(first, CannotSay)
    assert first.more_decisions is not None
    assert 50 < first.more_decisions < 1000


async def test_where_feedback_is_missing_only_what_was_answered_is_judged(service: Service) -> None:
    await teach(service, every=2)
    result = await report(service, "random")
    ips, snips, dr = values(result)
    assert isinstance(ips, str)
    assert isinstance(dr, str)
    assert isinstance(snips, Estimate)
    assert snips.value == pytest.approx(0.45, abs=0.08)
    rates = result.answer_rates
    assert all(isinstance(rate, Estimate) and 0.3 < rate.value < 0.7 for rate in rates.values())


async def test_pinned_decisions_are_left_out_and_counted(service: Service) -> None:
    await teach(service, 3)
    await answered(service, arm="good")
    result = await report(service, "random")
    assert result.left_out == {"drawn by no policy": 1}
    assert result.values[0].decisions == 3


async def test_a_log_without_feedback_says_so(service: Service) -> None:
    await answered(service)
    result = await report(service, "random")
    assert all(isinstance(estimate, str) for estimate in values(result))
    assert isinstance(result.logged, str)


async def test_an_empty_log_says_so(service: Service) -> None:
    result = await report(service, "fixed:good", since=1e12)
    assert result.values[0].decisions == 0
    assert all(isinstance(estimate, str) for estimate in values(result))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fixed:nobody", r"no arm 'nobody' in the log; there are: good, bad"),
        ("linucb", r"'linucb' is not frozen; give fixed:ARM"),
        ("99999", r"the log has no event 99999; its last is"),
    ],
)
async def test_a_policy_that_is_not_frozen_is_refused(service: Service, name: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match=said) as caught:
        await report(service, name)
    assert caught.value.param == "policies"
