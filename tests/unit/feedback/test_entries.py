"""What a feedback event carries, so that the fold needs nothing else."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from builders import make_feedback, make_teaching
from houses import ARMS, House, decided, opened
from laserve.errors import InvalidRequest
from laserve.eventlog.learner import fold
from laserve.feedback.rewards import UNIT, RewardRange
from laserve.history.verify import verify
from laserve.types import Update

DISCOUNT = 0.5


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = await House(DISCOUNT).open()
    await made.store.add_decisions([decided(number) for number in range(6)])
    yield made
    await made.close()


async def test_an_event_tells_the_arm_that_was_drawn_and_its_propensity(house: House) -> None:
    await house.store.add_decisions([decided(9, arm="relevance", propensity=0.125)])  # loglik took its place
    await house.say(9, 0.75)
    (event,) = await house.events()
    assert (event.body["played"], event.body["drawn"], event.body["propensity"]) == (
        "loglik",
        "relevance",
        0.125,
    )
    assert {name: arm.loss for name, arm in house.learner.state.arms.items()} == {
        "consensus": 0.0,
        "loglik": 0.0,
        "relevance": 2.0,
    }


async def test_learned_decisions_are_numbered_and_a_correction_has_the_number_of_its_original(
    house: House,
) -> None:
    for number in (3, 1, 5):
        await house.say(number, 0.5)
    await house.say(3, 1.0, idempotency_key="again")
    await house.say(2, 0.0)
    await house.say(3, 0.25, idempotency_key="and again")
    bodies = [event.body for event in await house.events()]
    assert [body["ordinal"] for body in bodies] == [1, 2, 3, 1, 4, 1]
    assert [body.get("replaced_reward") for body in bodies] == [None, None, None, 0.5, None, 1.0]


async def test_a_decision_is_answered_once_also_after_a_restart(tmp_path: Path) -> None:
    labels = {"arm": "loglik", "policy": "linucb", "task": "none"}

    def answered(house: House) -> float | None:
        return house.metrics.registry.get_sample_value("laserve_answered_total", labels)

    async with opened(tmp_path / "laserve.db") as house:
        await house.store.add_decisions([decided(number) for number in range(3)])
        await house.say(0, 1.0)
        await house.say(0, 0.0, source="another rater")
        await house.say(0, 0.5, idempotency_key="a correction")
        assert answered(house) == 1
    async with opened(tmp_path / "laserve.db") as house:
        await house.say(0, 1.0)
        await house.say(0, 0.0, source="a third rater")
        assert answered(house) is None
        await house.say(1, 1.0)
        assert answered(house) == 1


async def test_feedback_that_does_not_teach_has_no_number(house: House) -> None:
    await house.say(0, 0.5)
    await house.recorder.record(make_feedback("thumb", 1.0, decision_id="d-1"))
    await house.say(2, 0.5)
    bodies = [event.body for event in await house.events()]
    assert [body.get("ordinal") for body in bodies] == [1, None, 2]
    assert ["drawn" in body for body in bodies] == [True, False, True]


async def test_feedback_that_arrives_together_is_numbered_in_its_order(house: House) -> None:
    said = [make_feedback("reward", 0.5, decision_id=f"d-{number}") for number in (4, 0, 4, 2, 9, 1)]
    await house.recorder.record_all(said)  # one of them a duplicate, one about an unknown decision
    events = await house.events()
    assert [(event.decision_id, event.body["ordinal"]) for event in events] == [
        ("d-4", 1),
        ("d-0", 2),
        ("d-2", 3),
        ("d-1", 4),
    ]


async def test_a_correction_leaves_the_state_of_a_log_without_the_mistake(house: House) -> None:
    right = await House(DISCOUNT).open()
    await right.store.add_decisions([decided(number) for number in range(6)])
    await house.say(0, 0.0)
    await right.say(0, 1.0)
    for each in (house, right):
        for number in range(1, 5):
            await each.say(number, number / 8)
    await house.say(0, 1.0, idempotency_key="now right")
    for name in ARMS:
        ours, theirs = house.learner.state.arms[name], right.learner.state.arms[name]
        np.testing.assert_array_equal(ours.S, theirs.S)
        np.testing.assert_array_equal(ours.b, theirs.b)
        assert ours.loss == theirs.loss
    assert (await verify(house.store)).digest == house.learner.state.digest()
    assert (await fold(house.store)).digest() == house.learner.state.digest()
    await right.close()


async def test_feedback_keeps_the_meaning_that_it_had_when_the_range_changes(house: House) -> None:
    await house.say(0, 0.5)
    await house.restart(RewardRange(-1.0, 1.0))
    await house.say(1, 0.5)
    await house.say(0, -0.5, idempotency_key="a correction in the new unit")
    assert [event.updates[0].reward for event in await house.events()] == [0.5, 0.75, 0.25]
    assert [event.body["reward"] for event in await house.events()] == [0.5, 0.75, 0.25]
    bodies = [row.body or {} for row in await house.store.feedback_rows()]
    assert [(body["reward"], body.get("reward_range")) for body in bodies] == [
        (0.5, None),
        (0.5, [-1.0, 1.0]),
        (-0.5, [-1.0, 1.0]),
    ]
    assert house.learner.state.arms["loglik"].reward_sum == 0.25 + 0.75
    assert (await verify(house.store)).digest == house.learner.state.digest()


async def test_a_repeat_is_known_by_what_was_sent_though_the_range_has_changed(house: House) -> None:
    await house.restart(RewardRange(-1.0, 1.0))
    await house.say(0, -0.5)
    await house.say(1, 0.5)
    await house.restart(UNIT)
    for number, sent, learned in ((0, -0.5, 0.25), (1, 0.5, 0.75)):
        repeat = make_feedback("reward", sent, decision_id=f"d-{number}")
        outcome = await house.recorder.record(repeat)
        assert (outcome.status, outcome.reward) == ("duplicate", learned)
    with pytest.raises(InvalidRequest, match=r"reward: -0\.5 .* 0 to 1"):
        await house.say(2, -0.5)
    assert len(await house.events()) == 2


async def test_a_decision_that_taught_under_an_older_version_can_be_corrected() -> None:
    made = House(1.0)
    update = Update(arm="loglik", reward=0.25)
    made.first.append(make_teaching(5, np.array([1.0, 0.0]), [update], decision_id="d-0"))
    house = await made.open()
    await house.store.add_decisions([decided(0), decided(1)])
    await house.say(0, 0.75)
    await house.say(1, 0.5)
    first, second = await house.events()
    assert first.replaces == (update,)
    assert first.body.keys() >= {"drawn", "propensity"}
    assert not first.body.keys() & {"ordinal", "replaced_reward"}
    assert second.body["ordinal"] == 2
    assert house.learner.state.arms["loglik"].loss == 0.5 + 1.0  # the old event had taught no loss
    assert (await fold(house.store)).digest() == house.learner.state.digest()
    await house.close()
