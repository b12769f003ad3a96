import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from builders import make_teaching
from laserve.bandit.state.fold import BanditState
from laserve.config import Expected, PolicySettings
from laserve.context.features import ContextBuilder, Features
from laserve.errors import ConfigError
from laserve.eventlog.event_log import EventLog
from laserve.eventlog.learner import Learner
from laserve.eventlog.model_changes import Fingerprints
from laserve.eventlog.opening import LogOpening, Opening
from laserve.metrics import Metrics
from laserve.models.encoder import HashEncoder
from laserve.storage.store import SqlStore
from laserve.types import Event, Update

E = 8
ARMS = ("loglik", "consensus")
PRIOR = {"prior_structure": 1.0, "prior_embedding": 30.0, "prior_reward": 0.25}
FEATURES = Features(
    mean=np.zeros(4),
    sd=np.ones(4),
    center=np.zeros(E, dtype=np.float32),
    components=np.eye(3, E, dtype=np.float32),
    fingerprint="constants-1",
)


class OtherEncoder(HashEncoder):
    """The same dimension, other vectors."""

    def __init__(self) -> None:
        super().__init__(E)
        self.fingerprint = "other-encoder"


def context(**changes: Any) -> ContextBuilder:
    return ContextBuilder(**{"encoder": HashEncoder(E), "features": FEATURES, "tasks": ("chat",)} | changes)


@pytest.fixture
async def store() -> AsyncIterator[SqlStore]:
    made = SqlStore(None)
    await made.open()
    yield made
    await made.close()


async def opened(store: SqlStore, **changes: Any) -> Learner:
    """Open the log as a process does that becomes ready."""
    async with starting(store, **changes) as (opening, learner):
        opening.allow()
        await opening.write()
    return learner


@asynccontextmanager
async def starting(store: SqlStore, **changes: Any) -> AsyncIterator[tuple[LogOpening, Learner]]:
    """A process that has read the log, and has not become ready yet."""
    learner = Learner(seed=0)
    log = EventLog(store=store, learner=learner, metrics=Metrics(), snapshot_every=1000)
    beside = {name: changes.pop(name) for name in ("expected", "fingerprints") if name in changes}
    opening = Opening(
        context=changes.pop("context", None) or context(),
        arms=changes.pop("arms", ARMS),
        policy=PolicySettings(**PRIOR | changes),
        **beside,
    )
    opened = LogOpening(store=store, learner=learner, log=log, opening=opening)
    await opened.read()
    await log.start()
    try:
        yield opened, learner
    finally:
        await log.close()


async def logged(store: SqlStore) -> list[Event]:
    return [event async for event in store.events()]


async def teach(store: SqlStore, learner: Learner, arm: str, reward: float) -> None:
    x = np.zeros(context().dimension)
    x[0] = 1.0
    event = make_teaching(0, x, [Update(arm=arm, reward=reward)], decision_id=f"d{learner.state.position}")
    async with store.writing() as log:
        learner.apply([await log.append(event)])


async def test_a_fresh_log_is_started_and_its_arms_join(store: SqlStore) -> None:
    learner = await opened(store, learn_from="thumb")

    start, first, second = await logged(store)
    assert [event.position for event in (start, first, second)] == [1, 2, 3]
    assert start.kind == "start"
    assert start.body["learn_from"] == "thumb"
    assert start.body["settings"] == {
        "context.encoder": "hash-8",
        "context.features": "constants-1",
        "context.tasks": ["chat"],
        "policy.prior_reward": 0.25,
        "policy.prior_structure": 1.0,
        "policy.prior_embedding": 30.0,
        "policy.discount": 1.0,
        "policy.reward_scaling": "none",
    }
    assert (start.body["discount"], start.body["reward_scaling"]) == (1.0, "none")
    ridge = context().prior_diagonal(structure=1.0, embedding=30.0)
    assert start.body["prior_diagonal"] == ridge.tolist()
    for event, name in ((first, "loglik"), (second, "consensus")):
        assert event.kind == "arm"
        assert event.body == {"name": name, "prior_mean": context().prior_mean(0.25).tolist()}
    assert learner.state.position == 3
    assert list(learner.state.arms) == list(ARMS)


async def test_a_log_is_not_begun_before_the_service_can_serve(store: SqlStore) -> None:
    async with starting(store, discount=0.5) as (opening, learner):
        assert opening.pending
        writing = asyncio.create_task(opening.write())  # an arm that joins waits for the generator
        await asyncio.sleep(0)
        assert await logged(store) == []
        writing.cancel()
    assert learner.state.position == 0
    assert (await opened(store, context=context(tasks=("other",)))).state.discount == 1.0


async def test_an_arm_joins_an_existing_log_when_the_service_can_serve(store: SqlStore) -> None:
    await teach(store, await opened(store), "loglik", 1.0)
    async with starting(store, arms=(*ARMS, "new")) as (opening, learner):
        assert opening.pending
        assert "new" not in learner.state.arms
        assert len(await logged(store)) == 4
        opening.allow()
        await asyncio.gather(opening.write(), opening.write())
        assert not opening.pending
        assert "new" in learner.state.arms
    assert len(await logged(store)) == 5


async def test_a_change_is_learned_from_when_the_service_can_serve(store: SqlStore) -> None:
    await teach(store, await configured(store), "loglik", 1.0)
    mistaken = replace(KNOWN, generator="no-model")
    async with starting(store, fingerprints=lambda state: mistaken, on_change=0.5) as (opening, _):
        assert opening.pending
    again = await configured(store)
    assert await noted(store) == []
    assert again.state.arms["loglik"].S[0, 0] == 1.0


async def test_a_log_that_lacks_nothing_is_open_at_once(store: SqlStore) -> None:
    await opened(store)
    async with starting(store) as (opening, _):
        assert not opening.pending
        await opening.write()  # without the generator
    assert len(await logged(store)) == 3


async def test_another_process_may_have_begun_the_log_with_other_settings(store: SqlStore) -> None:
    async with starting(store, discount=0.5) as (late, _):
        await opened(store)
        late.allow()
        with pytest.raises(
            ConfigError, match=r"^policy\.discount: is 0\.5, but the log was started with 1\.0"
        ):
            await late.write()
        assert late.pending
    assert len(await logged(store)) == 3


async def test_the_first_arms_are_expected_to_give_the_prior_reward(store: SqlStore) -> None:
    learner = await opened(store)
    x = np.full(context().dimension, 3.0)
    x[0] = 1.0
    np.testing.assert_allclose(learner.model.means(x, ARMS), [0.25, 0.25])


async def test_reopening_appends_nothing_and_gives_the_same_state(store: SqlStore) -> None:
    first = await opened(store)
    await teach(store, first, "loglik", 1.0)
    again = await opened(store)
    assert len(await logged(store)) == 4
    assert again.state.digest() == first.state.digest()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"context": context(tasks=("chat", "math"))},
            r"^context\.tasks: is \['chat', 'math'\], but the log was started with \['chat'\]",
        ),
        (
            {"context": context(encoder=OtherEncoder())},
            r"^context\.encoder: is 'other-encoder', but the log was started with 'hash-8'",
        ),
        (
            {"context": context(features=replace(FEATURES, fingerprint="constants-2"))},
            r"^context\.features: is 'constants-2', but the log was started with 'constants-1'",
        ),
        (
            {"prior_structure": 2.0},
            r"^policy\.prior_structure: is 2\.0, but the log was started with 1\.0",
        ),
        (
            {"prior_embedding": 3.0},
            r"^policy\.prior_embedding: is 3\.0, but the log was started with 30\.0",
        ),
        (
            {"discount": 0.5},
            r"^policy\.discount: is 0\.5, but the log was started with 1\.0",
        ),
        (
            {"reward_scaling": "quantile"},
            r"^policy\.reward_scaling: is 'quantile', but the log was started with 'none'",
        ),
        (
            {"learn_from": "reward"},
            r"^policy\.learn_from: is 'reward', but this log learns from 'thumb'",
        ),
    ],
    ids=[
        "tasks",
        "encoder",
        "features",
        "prior_structure",
        "prior_embedding",
        "discount",
        "reward_scaling",
        "learn_from",
    ],
)
async def test_a_setting_that_contradicts_the_log_is_refused_by_name(
    store: SqlStore, changes: dict[str, Any], message: str
) -> None:
    await opened(store, learn_from="thumb")
    with pytest.raises(ConfigError, match=message) as caught:
        await opened(store, **{"learn_from": "thumb", "arms": (*ARMS, "new")} | changes)
    assert caught.value.param == caught.value.message.partition(":")[0]
    assert len(await logged(store)) == 3  # the new arm has not joined either


async def test_the_discount_is_that_of_the_log(store: SqlStore) -> None:
    learner = await opened(store, discount=0.75)
    assert learner.state.discount == 0.75
    assert (await opened(store, discount=0.75)).state.digest() == learner.state.digest()
    with pytest.raises(ConfigError, match=r"^policy\.discount: is 1\.0, but the log was started with 0\.75"):
        await opened(store)


async def test_the_scaling_of_rewards_is_that_of_the_log(store: SqlStore) -> None:
    learner = await opened(store, reward_scaling="quantile")
    assert learner.state.scales_rewards
    again = await opened(store, reward_scaling="quantile")
    assert again.state.digest() == learner.state.digest()
    with pytest.raises(
        ConfigError, match=r"^policy\.reward_scaling: is 'none', but the log was started with 'quantile'"
    ):
        await opened(store)


async def test_a_log_of_a_version_without_discount_and_scaling_has_none_of_them(store: SqlStore) -> None:
    learner = await opened(store)
    start, *joined = await logged(store)
    later = ("discount", "reward_scaling")
    settings = {
        name: value
        for name, value in start.body["settings"].items()
        if name.removeprefix("policy.") not in later
    }
    old = {name: value for name, value in start.body.items() if name not in later} | {"settings": settings}
    older = SqlStore(None)
    await older.open()
    async with older.writing() as log:
        for event in (replace(start, body=old), *joined):
            await log.append(event)
    reopened = (await opened(older)).state
    assert reopened.discount == learner.state.discount == 1.0
    assert not reopened.scales_rewards
    with pytest.raises(ConfigError, match=r"^policy\.discount: is 0\.5, but the log was started with 1\.0"):
        await opened(older, discount=0.5)
    with pytest.raises(ConfigError, match=r"^policy\.reward_scaling: is 'quantile', but the log was started"):
        await opened(older, reward_scaling="quantile")
    await older.close()


async def test_all_settings_that_contradict_the_log_are_named_at_once(store: SqlStore) -> None:
    await opened(store)
    with pytest.raises(ConfigError) as caught:
        await opened(store, context=context(tasks=()), prior_structure=2.0)
    assert [line.partition(":")[0] for line in caught.value.message.splitlines()[:2]] == [
        "context.tasks",
        "policy.prior_structure",
    ]
    assert caught.value.param == "context.tasks"


@pytest.mark.parametrize("changes", [{}, {"learn_from": "thumb"}])
async def test_a_setting_that_does_not_touch_what_was_learned_may_change(
    store: SqlStore, changes: dict[str, Any]
) -> None:
    first = await opened(store, learn_from="thumb")
    again = await opened(store, **changes)
    assert again.state.digest() == first.state.digest()


async def test_the_kind_that_the_first_feedback_settled_binds_too(store: SqlStore) -> None:
    learner = await opened(store)
    await teach(store, learner, "loglik", 1.0)  # by a reward
    assert (await opened(store, learn_from="reward")).state.learn_from == "reward"
    with pytest.raises(
        ConfigError, match=r"^policy\.learn_from: is 'thumb', but this log learns from 'reward'"
    ):
        await opened(store, learn_from="thumb")


async def test_an_arm_that_joins_later_expects_what_the_others_have_learned(store: SqlStore) -> None:
    learner = await opened(store)
    for reward in (1.0, 0.9, 1.0):
        await teach(store, learner, "loglik", reward)
    await teach(store, learner, "consensus", 0.4)
    mean = (learner.model.theta("loglik") + learner.model.theta("consensus")) / 2

    later = await opened(store, arms=("loglik", "new", "consensus"))

    joined = (await logged(store))[-1]
    assert (joined.kind, joined.body["name"]) == ("arm", "new")
    np.testing.assert_allclose(joined.body["prior_mean"], mean, rtol=1e-12)
    np.testing.assert_allclose(later.model.theta("new"), mean, rtol=1e-12)
    assert later.state.arms["new"].updates == 0
    assert (await opened(store, arms=("loglik", "new", "consensus"))).state.digest() == later.state.digest()


async def test_an_arm_that_has_gone_from_the_settings_keeps_what_it_learned(store: SqlStore) -> None:
    learner = await opened(store)
    await teach(store, learner, "consensus", 1.0)
    without = await opened(store, arms=("loglik",))
    assert without.state.digest() == learner.state.digest()
    assert (await opened(store)).state.arms["consensus"].updates == 1


async def test_an_arm_begins_with_what_it_is_expected_to_earn(store: SqlStore) -> None:
    learner = await opened(store, expected={"loglik": Expected(reward=0.9, n=20)})
    x = np.zeros_like(learner.model.theta("loglik"))
    x[0] = 1.0
    loglik, consensus = learner.model.means(x, ARMS)
    # The ridge of the bias is 1, and its prior mean 0.25.
    assert loglik == pytest.approx((0.25 + 20 * 0.9) / 21)
    assert consensus == pytest.approx(0.25)
    assert learner.model.widths(x, ARMS)[0] == pytest.approx((1 / 21) ** 0.5)
    assert all(arm.updates == arm.pulls == 0 for arm in learner.state.arms.values())


async def test_another_expectation_leaves_arms_that_have_joined_as_they_are(store: SqlStore) -> None:
    before = (await opened(store, expected={"loglik": Expected(reward=0.9, n=20)})).state.digest()
    again = await opened(store, expected={"loglik": Expected(reward=0.1, n=20)})
    assert again.state.digest() == before


async def test_an_arm_that_comes_later_begins_with_its_own(store: SqlStore) -> None:
    await opened(store)
    learner = await opened(store, arms=(*ARMS, "late"), expected={"late": Expected(reward=1.0, n=5)})
    assert learner.state.arms["late"].S[0, 0] == 5
    assert learner.state.arms["loglik"].S[0, 0] == 0


# what candidates and scores come from

KNOWN = Fingerprints(generator="g1", template="t1", arms={"loglik": "l1", "consensus": "c1"})


async def configured(store: SqlStore, known: Fingerprints = KNOWN, **changes: Any) -> Learner:
    return await opened(store, fingerprints=lambda state: known, on_change=0.5, **changes)


async def noted(store: SqlStore) -> list[dict[str, Any]]:
    return [dict(event.body) for event in await logged(store) if event.kind == "change"]


async def test_a_fresh_log_knows_what_it_was_started_with(store: SqlStore) -> None:
    learner = await configured(store)
    assert learner.state.fingerprints == {"generator": "g1", "template": "t1"}
    assert [arm.fingerprint for arm in learner.state.arms.values()] == ["l1", "c1"]
    assert await noted(store) == []
    assert (await configured(store)).state.digest() == learner.state.digest()


@pytest.mark.parametrize(
    ("now", "change"),
    [
        (replace(KNOWN, generator="g2"), {"what": "generator", "before": "g1", "after": "g2"}),
        (replace(KNOWN, template="t2"), {"what": "template", "before": "t1", "after": "t2"}),
        (
            replace(KNOWN, arms={"loglik": "l2", "consensus": "c1"}),
            {"what": "arm", "arm": "loglik", "before": "l1", "after": "l2"},
        ),
    ],
    ids=["generator", "template", "arm"],
)
async def test_what_is_another_than_before_is_an_event_that_widens_once(
    store: SqlStore, caplog: pytest.LogCaptureFixture, now: Fingerprints, change: dict[str, Any]
) -> None:
    before = await configured(store)
    for arm in ARMS:
        await teach(store, before, arm, 1.0)
    with caplog.at_level(logging.WARNING):
        after = await configured(store, now)
    assert await noted(store) == [change | {"kept": 0.5}]
    for name in ARMS:
        share = 0.5 if change.get("arm", name) == name else 1.0
        assert after.state.arms[name].S[0, 0] == share
        assert after.state.arms[name].updates == 1
    (line,) = caplog.messages
    assert change["before"] in line
    assert change["after"] in line
    assert "50%" in line

    assert (await configured(store, now)).state.digest() == after.state.digest()
    assert len(await noted(store)) == 1


async def test_a_log_that_never_knew_only_notes_it(store: SqlStore, caplog: pytest.LogCaptureFixture) -> None:
    before = await opened(store)
    await teach(store, before, "loglik", 1.0)
    with caplog.at_level(logging.WARNING):
        after = await configured(store)
    assert caplog.messages == []
    assert [(body["before"], body["kept"]) for body in await noted(store)] == [(None, 1.0)] * 4
    np.testing.assert_array_equal(after.state.arms["loglik"].S, before.state.arms["loglik"].S)
    assert after.state.changes.made == []
    assert (await configured(store)).state.digest() == after.state.digest()


async def test_what_cannot_be_known_is_no_change(store: SqlStore) -> None:
    before = await configured(store)
    after = await configured(store, Fingerprints(arms={"loglik": None}))
    assert after.state.digest() == before.state.digest()
    assert (await configured(store)).state.digest() == before.state.digest()


async def test_an_arm_that_joins_beside_a_change_loses_nothing_of_what_it_is_expected_to_earn(
    store: SqlStore,
) -> None:
    await configured(store)
    now = replace(KNOWN, generator="g2", arms=dict(KNOWN.arms) | {"late": "x"})
    learner = await configured(store, now, arms=(*ARMS, "late"), expected={"late": Expected(reward=1.0, n=8)})
    assert learner.state.arms["late"].S[0, 0] == 8
    assert learner.state.arms["late"].fingerprint == "x"


@pytest.mark.parametrize("fresh", [True, False])
async def test_replicas_that_start_at_the_same_time_note_a_change_once(store: SqlStore, fresh: bool) -> None:
    if not fresh:
        await teach(store, await configured(store), "loglik", 1.0)
    both = threading.Barrier(2)

    def late(state: BanditState) -> Fingerprints:
        both.wait(10)  # both have read the log by now, and neither has appended
        return replace(KNOWN, generator="g2")

    one, other = await asyncio.gather(
        *(opened(store, fingerprints=late, on_change=0.5, arms=(*ARMS, "new")) for _ in range(2))
    )
    assert len(await noted(store)) == (0 if fresh else 1)
    kinds = [event.kind for event in await logged(store)]
    assert (kinds.count("start"), kinds.count("arm")) == (1, 3)
    assert one.state.digest() == (await configured(store, replace(KNOWN, generator="g2"))).state.digest()
    assert one.state.digest() == other.state.digest()
