"""Arms that come and go, on a log in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders import StubModel, UnloadableModel, make_arm, make_teaching
from laserve.arms.arm import Arm
from laserve.arms.arms import Arms
from laserve.arms.lifecycle import Lifecycle
from laserve.config import ArmSettings, PolicySettings
from laserve.context.features import ContextBuilder, Features
from laserve.errors import (
    ArmConflict,
    ArmFailed,
    ConfigError,
    Forbidden,
    InvalidRequest,
    LaserveError,
    NotFound,
    NotReady,
    StoreError,
)
from laserve.eventlog.event_log import EventLog
from laserve.eventlog.learner import Learner, fold
from laserve.eventlog.opening import LogOpening, Opening
from laserve.history.verify import verify
from laserve.metrics import Metrics
from laserve.models.encoder import HashEncoder
from laserve.scoring.allowed import Allowed
from laserve.storage.store import SqlStore
from laserve.types import ArmStatus, Candidate, Event, Request, Update

CONFIGURED = (ArmSettings(name="one", kind="fake"), ArmSettings(name="two", kind="fake"))
FEATURES = Features(
    mean=np.zeros(4),
    sd=np.ones(4),
    center=np.zeros(8, dtype=np.float32),
    components=np.eye(3, 8, dtype=np.float32),
    fingerprint="constants-1",
)
POLICY = PolicySettings(prior_structure=1.0, prior_embedding=30.0, prior_reward=0.5)
CONTEXT = ContextBuilder(encoder=HashEncoder(8), features=FEATURES, tasks=())


class Slow(StubModel):
    """Loads when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def load(self) -> None:
        await self.go.wait()


class Life:
    """A process with its arms; start another on the same store for a restart."""

    def __init__(
        self,
        store: SqlStore,
        *,
        configured: Sequence[ArmSettings] = CONFIGURED,
        kinds: Sequence[str] = ("fake",),
        limit: int = 8,
        fixed: str | None = None,
        fingerprints: Mapping[str, str] | None = None,
    ) -> None:
        self.store = store
        #: Arm -> fingerprint of the reward model that is made for it; none of the others.
        self.fingerprints = dict(fingerprints or {})
        self.configured = configured
        self.metrics = Metrics()
        self.learner = Learner(seed=0)
        self.log = EventLog(store=store, learner=self.learner, metrics=self.metrics, snapshot_every=1000)
        #: Name -> the model that is made for it next; a StubModel by default.
        self.next: dict[str, Any] = {}
        self.made: list[ArmSettings] = []
        self.arms = Arms([self.build(settings) for settings in configured], metrics=self.metrics)
        opening = Opening(context=CONTEXT, arms=[arm.name for arm in configured], policy=POLICY)
        self.opening = LogOpening(store=store, learner=self.learner, log=self.log, opening=opening)
        self.lifecycle = Lifecycle(
            arms=self.arms,
            configured=configured,
            learner=self.learner,
            log=self.log,
            begin=self.opening.write,
            build=self.build,
            allowed=Allowed(kinds=kinds, folders=[Path("/models")], urls=()),
            limit=limit,
            fixed=fixed,
            fingerprint=lambda settings: self.fingerprints.get(settings.name),
            on_change=0.5,
        )

    def build(self, settings: ArmSettings) -> Arm:
        self.made.append(settings)
        model = self.next.get(settings.name) or StubModel()
        if isinstance(model, Exception):
            raise model
        self.metrics.rm_circuit.labels(settings.name, "closed").set(1)
        return make_arm(settings.name, model, loading="loading", timeout_s=settings.timeout_s)

    async def begin(self) -> None:
        """Start, up to where the generator loads."""
        await self.opening.read()
        self.lifecycle.restore()
        await self.log.start()

    async def start(self) -> "Life":
        await self.begin()
        self.opening.allow()
        await self.opening.write()
        await self.arms.load()
        return self

    async def stop(self) -> None:
        await self.lifecycle.close()
        await self.log.close()
        await self.arms.close()

    async def add(self, name: str, model: Any = None, **settings: Any) -> Arm:
        self.next[name] = model
        return await self.lifecycle.add(ArmSettings(**{"name": name, "kind": "fake"} | settings))

    async def added(self, name: str, model: Any = None, **settings: Any) -> Arm:
        arm = await self.add(name, model, **settings)
        await until(lambda: arm.loading != "loading")
        return arm

    async def move(self, name: str, status: ArmStatus) -> Arm:
        return await self.lifecycle.move(name, status)

    async def kinds(self) -> list[str]:
        return [event.kind async for event in self.store.events()]

    def states(self) -> dict[str, str]:
        return {arm.name: arm.state for arm in self.arms}


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.fixture
async def store() -> AsyncIterator[SqlStore]:
    made = SqlStore(None)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def lives(store: SqlStore) -> AsyncIterator[Callable[..., Any]]:
    started: list[Life] = []

    async def start(**changes: Any) -> Life:
        for life in started:
            await life.stop()
        started[:] = [Life(store, **changes)]
        return await started[0].start()

    yield start
    for life in started:
        await life.stop()


@pytest.fixture
async def life(lives: Callable[..., Any]) -> Life:
    made: Life = await lives()
    return made


# adding


async def test_an_arm_is_loading_at_once_and_ready_once_it_has_loaded_and_stands_in_the_log(
    life: Life,
) -> None:
    model = Slow()
    arm = await life.add("new", model)
    assert life.states() == {"one": "ready", "two": "ready", "new": "loading"}
    assert life.arms.ready == life.arms.eligible == ("one", "two")
    assert "new" not in life.learner.state.arms
    assert (await life.kinds()).count("arm") == 2
    model.go.set()
    await until(lambda: arm.state == "ready")
    assert life.arms.ready == ("one", "two", "new")
    assert "new" in life.learner.state.arms
    assert (await life.kinds()).count("arm") == 3
    await verify(life.store)


async def test_a_newcomer_starts_at_the_mean_of_the_others_with_the_width_of_the_prior(life: Life) -> None:
    x = np.zeros(CONTEXT.dimension)
    x[0] = 1.0
    for index in range(20):
        event = make_teaching(0, x, [Update(arm="one", reward=1.0)], decision_id=f"d{index}")
        async with life.store.writing() as log:
            life.learner.apply([await log.append(event)])
    await life.added("new")
    model = life.learner.model
    one, two, new = model.means(x, ["one", "two", "new"])
    assert new == pytest.approx((one + two) / 2)
    assert new > 0.6
    assert model.widths(x, ["new"]) == model.widths(x, ["two"]) > model.widths(x, ["one"])


@pytest.mark.parametrize(
    "model",
    [
        UnloadableModel(ArmFailed("no weights")),
        StubModel(ArmFailed("no weights")),
        UnloadableModel(RuntimeError("no weights")),
    ],
)
async def test_an_arm_that_cannot_load_fails_by_name_leaves_the_log_alone_and_may_be_tried_again(
    life: Life, model: Any
) -> None:
    arm = await life.added("new", model)
    assert (arm.state, "no weights" in (arm.error or "")) == ("failed", True)
    assert (await life.kinds()).count("arm") == 2
    again = await life.added("new", timeout_s=7.0)
    assert (again.state, again.error, again.timeout_s) == ("ready", None, 7.0)
    assert model.closed
    assert life.learner.state.arms["new"].settings["timeout_s"] == 7.0  # type: ignore[index]


async def test_a_log_that_refuses_the_newcomer_fails_it(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(event: Any) -> None:
        raise StoreError("disk full")

    monkeypatch.setattr(life.log, "append", refuse)
    arm = await life.added("new")
    assert (arm.state, arm.error) == ("failed", "disk full")
    assert life.arms.ready == ("one", "two")


async def test_a_name_that_is_taken_is_a_conflict(life: Life) -> None:
    slow = Slow()
    await life.add("new", slow)
    for name in ("one", "new"):
        with pytest.raises(ArmConflict, match=f"there is an arm '{name}'") as caught:
            await life.add(name)
        assert caught.value.param == "name"
    slow.go.set()


async def test_two_adds_of_one_name_at_once_make_one_arm(life: Life) -> None:
    results = await asyncio.gather(*(life.add("new") for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, Arm) for result in results) == 1
    assert sum(isinstance(result, ArmConflict) for result in results) == 4


async def test_a_retired_name_is_a_conflict_that_names_the_way_back(life: Life) -> None:
    await life.move("two", "retired")
    with pytest.raises(ArmConflict, match=r'PATCH /arms/two with \{"state": "enabled"\}'):
        await life.add("two")


async def test_a_configured_arm_that_failed_is_loaded_again_by_enabling_it(lives: Any) -> None:
    life: Life = await lives()
    arm = life.arms.get("two")
    assert arm is not None
    arm.loading, arm.error = "failed", "no weights"
    with pytest.raises(ArmConflict, match="in the configuration"):
        await life.add("two")
    assert (await life.move("two", "enabled")).state == "loading"
    await until(lambda: life.states()["two"] == "ready")
    assert (await life.kinds()).count("arm_state") == 0


@pytest.mark.parametrize(
    ("error", "param", "message"),
    [
        (ConfigError.at("options.x", "kind 'fake' has no such option"), "options.x", "options.x: kind"),
        (ConfigError.at("options", "unit: is neither"), "options", "options: unit: is neither"),
        (ConfigError.at("kind", "no scorer kind"), "kind", "kind: no scorer kind"),
        (ConfigError("model: needs a package"), "options", "options: model: needs a package"),
        (RuntimeError("salt: is wet"), "options", "options: RuntimeError: salt: is wet"),
    ],
)
async def test_what_a_kind_refuses_is_an_error_of_the_field(
    life: Life, error: Exception, param: str, message: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await life.add("new", error)
    assert (caught.value.param, caught.value.message.startswith(message)) == (param, True)
    assert life.states().keys() == {"one", "two"}


async def test_a_kind_that_raises_something_of_its_own_costs_its_arm_alone(lives: Any) -> None:
    life = await lives()
    with pytest.raises(InvalidRequest, match="RuntimeError: no device"):
        await life.add("new", RuntimeError("no device"))
    arm = await life.added("new")
    await life.move("new", "retired")
    await until(lambda: arm.loading == "unloaded")
    life.next["new"] = RuntimeError("no device")
    await life.move("new", "enabled")
    await until(lambda: arm.state == "failed")
    assert "no device" in (arm.error or "")

    class Broken(Life):
        def build(self, settings: ArmSettings) -> Arm:
            if settings.name == "new":
                raise RuntimeError("no device")
            return super().build(settings)

    await life.stop()
    broken = await Broken(life.store).start()
    assert broken.states() == {"one": "ready", "two": "ready", "new": "failed"}
    await broken.stop()


async def test_what_is_not_allowed_is_not_even_made(life: Life) -> None:
    made = len(life.made)
    with pytest.raises(Forbidden):
        await life.add("new", kind="loglik")
    with pytest.raises(Forbidden):
        await life.add("new", options={"model": "/etc"})
    assert len(life.made) == made


async def test_there_are_no_more_arms_than_the_limit(lives: Any) -> None:
    life = await lives(limit=3)
    await life.added("new")
    with pytest.raises(ArmConflict, match=r"scoring\.max_arms"):
        await life.add("newer")


# draining, retiring, enabling


async def test_a_draining_arm_gets_no_new_requests_and_comes_back_at_once(life: Life) -> None:
    arm = await life.move("two", "draining")
    assert (arm.state, arm.loading) == ("draining", "ready")
    assert life.arms.ready == life.arms.eligible == ("one",)
    assert life.arms.offered == ("one",)
    with pytest.raises(InvalidRequest):
        life.arms.check("two")
    await life.move("two", "enabled")
    assert life.arms.ready == ("one", "two")
    assert [kind for kind in await life.kinds() if kind == "arm_state"] == ["arm_state"] * 2
    await verify(life.store)


async def test_the_same_state_again_changes_nothing(life: Life) -> None:
    await life.move("two", "draining")
    await life.move("two", "draining")
    await life.move("one", "enabled")
    assert (await life.kinds()).count("arm_state") == 1


async def test_a_retired_arm_is_closed_when_the_last_request_that_may_ask_it_has_ended(life: Life) -> None:
    arm = life.arms.get("two")
    assert arm is not None
    model: Any = arm.model
    with life.arms.holding(["one", "two"]):
        with life.arms.holding(["two"]):
            await life.move("two", "retired")
            assert arm.state == "retired"
        await asyncio.sleep(0.01)
        assert not model.closed
    await until(lambda: arm.loading == "unloaded")
    assert model.closed
    assert "two" in life.learner.state.arms  # what it learned stays
    series = life.metrics.render().decode()
    assert 'laserve_rm_circuit{arm="two"' not in series
    assert 'laserve_rm_circuit{arm="one"' in series


async def test_a_retired_arm_that_is_enabled_before_it_is_closed_goes_on(life: Life) -> None:
    arm = life.arms.get("two")
    assert arm is not None
    model: Any = arm.model
    with life.arms.holding(["two"]):
        await life.move("two", "retired")
        await life.move("two", "enabled")
        assert arm.state == "ready"
    await asyncio.sleep(0.01)
    assert not model.closed
    assert arm.model is model


async def test_a_retired_arm_is_enabled_by_loading_it_anew(life: Life) -> None:
    arm = await life.move("two", "retired")
    await until(lambda: arm.loading == "unloaded")
    old, slow = arm.model, Slow()
    life.next["two"] = slow
    assert (await life.move("two", "enabled")).state == "loading"
    assert life.arms.ready == ("one",)
    with pytest.raises(ArmConflict, match="still loading"):
        await life.move("two", "retired")
    slow.go.set()
    await until(lambda: arm.state == "ready")
    assert arm.model is not old
    assert life.arms.ready == ("one", "two")


async def test_a_model_whose_closing_fails_is_retired_all_the_same(life: Life) -> None:
    class Stuck(StubModel):
        async def close(self) -> None:
            raise RuntimeError("will not go")

    model = Stuck()
    arm = await life.added("new", model)
    await life.move("new", "retired")
    await until(lambda: arm.loading == "unloaded")
    life.next["new"] = StubModel()
    await life.move("new", "enabled")
    await until(lambda: arm.state == "ready")


async def test_the_test_of_an_open_circuit_ends_with_the_arm(life: Life) -> None:
    class Failing(StubModel):
        async def score(self, request: Request, candidates: Sequence[Candidate]) -> Any:
            if request.question == "who built the bridge":
                raise ArmFailed("no")
            return await super().score(request, candidates)

    arm = await life.added("new", Failing())
    life.arms._watch(arm)
    assert any(task.get_name() == "probe-new" for task in asyncio.all_tasks())
    await life.move("new", "retired")
    await until(lambda: not any(task.get_name() == "probe-new" for task in asyncio.all_tasks()))


@pytest.mark.parametrize("status", ["draining", "retired"])
async def test_the_last_arm_that_is_ready_stays(life: Life, status: ArmStatus) -> None:
    await life.added("broken", UnloadableModel())
    await life.move("two", "draining")
    with pytest.raises(ArmConflict, match="last one"):
        await life.move("one", status)
    assert life.arms.ready == ("one",)
    results = await asyncio.gather(
        life.move("two", "enabled"),
        life.move("one", status),
        life.move("two", status),
        return_exceptions=True,
    )
    assert isinstance(results[2], ArmConflict)
    assert life.arms.ready == ("two",)


@pytest.mark.parametrize("status", ["draining", "retired"])
async def test_the_arm_that_the_policy_plays_stays(lives: Any, status: ArmStatus) -> None:
    life = await lives(fixed="one")
    with pytest.raises(ArmConflict, match="the policy plays"):
        await life.move("one", status)
    await life.move("two", status)


async def test_what_cannot_be_moved_is_refused(life: Life) -> None:
    with pytest.raises(NotFound):
        await life.move("nobody", "retired")
    slow = Slow()
    await life.add("new", slow)
    with pytest.raises(ArmConflict, match="still loading"):
        await life.move("new", "draining")
    slow.go.set()
    await life.move("two", "retired")
    with pytest.raises(ArmConflict, match="enable it first"):
        await life.move("two", "draining")


async def test_a_change_that_the_log_refuses_is_none(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(event: Any) -> None:
        raise StoreError("disk full")

    monkeypatch.setattr(life.log, "append", refuse)
    with pytest.raises(StoreError):
        await life.move("two", "retired")
    assert life.arms.ready == ("one", "two")


async def test_a_change_is_made_whole_when_its_client_leaves(life: Life) -> None:
    task = asyncio.create_task(life.move("two", "retired"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await until(lambda: life.learner.state.arms["two"].status == "retired")
    await until(lambda: life.states()["two"] == "retired")


async def test_an_arm_that_never_loaded_may_be_put_away_and_tried_again(life: Life) -> None:
    arm = await life.added("new", UnloadableModel())
    await life.move("new", "retired")
    assert (await life.kinds()).count("arm_state") == 0  # the log does not know it
    await until(lambda: arm.loading == "unloaded")
    life.next["new"] = StubModel()
    await life.move("new", "enabled")
    await until(lambda: life.states()["new"] == "ready")
    assert (await life.kinds()).count("arm") == 3


# restart


async def test_a_restart_brings_added_arms_back_behind_the_configured_ones(lives: Any) -> None:
    life = await lives()
    await life.added("new", options={"salt": "s"}, timeout_s=3.0)
    await life.added("away")
    await life.move("away", "retired")
    await life.move("two", "draining")
    digest = life.learner.state.digest()

    again = await lives()
    assert again.learner.state.digest() == digest
    assert again.states() == {"one": "ready", "two": "draining", "new": "ready", "away": "retired"}
    assert again.made[-1] == ArmSettings(name="new", kind="fake", options={"salt": "s"}, timeout_s=3.0)
    arm = await again.move("away", "enabled")
    await until(lambda: arm.state == "ready")
    await verify(again.store)


async def test_a_restart_from_a_snapshot_brings_them_back_too(lives: Any) -> None:
    life = await lives()
    await life.added("new", options={"salt": "s"})
    await life.move("new", "draining")
    await life.store.add_snapshot(life.learner.snapshot(1.0))
    again = await lives()
    assert again.states()["new"] == "draining"
    assert again.made[-1].options == {"salt": "s"}


async def test_an_arm_that_is_not_allowed_any_more_is_reported_and_the_service_is_up(lives: Any) -> None:
    life = await lives()
    await life.added("new")
    again = await lives(kinds=("loglik",))
    assert again.states() == {"one": "ready", "two": "ready", "new": "failed"}
    assert "may not be added" in (again.arms.get("new").error or "")
    with pytest.raises(Forbidden):
        await again.move("new", "enabled")
    last = await lives()
    assert last.states()["new"] == "ready"


async def test_an_arm_that_cannot_be_made_any_more_is_reported(lives: Any) -> None:
    life = await lives()
    await life.added("new")

    class Broken(Life):
        def build(self, settings: ArmSettings) -> Arm:
            if settings.name == "new":
                raise ConfigError("options.model: there is no such folder")
            return super().build(settings)

    await life.stop()
    broken = await Broken(life.store).start()
    assert broken.arms.get("new").error == "options.model: there is no such folder"  # type: ignore[union-attr]
    await broken.stop()


async def test_an_arm_comes_back_with_the_settings_that_it_last_ran_with(lives: Any) -> None:
    life = await lives()
    await life.added("new", timeout_s=3.0)
    await life.move("new", "draining")
    again = await lives()
    again.arms.get("new").loading = "failed"  # so another may be posted in its place
    assert (await again.added("new", UnloadableModel(), timeout_s=7.0)).state == "failed"
    again.next["new"] = StubModel()
    await again.move("new", "enabled")
    await until(lambda: again.states()["new"] == "ready")
    last = await lives()
    assert (last.states()["new"], last.arms.get("new").timeout_s) == ("ready", 7.0)
    await verify(last.store)


@pytest.mark.parametrize("status", ["enabled", "retired"])
async def test_an_arm_whose_settings_cannot_be_read_is_not_loaded_with_others(
    lives: Any, status: ArmStatus
) -> None:
    life = await lives()
    of_another_version = {"kind": "fake", "options": {"salt": "s"}, "colour": "red"}
    body = {"name": "new", "prior_mean": [0.0] * CONTEXT.dimension, "settings": of_another_version}
    await life.log.append(Event(kind="arm", created_at=0.0, body=body))
    await life.log.append(Event(kind="arm_state", created_at=0.0, body={"name": "new", "state": status}))
    again = await lives()
    assert again.states()["new"] == ("failed" if status == "enabled" else "retired")
    with pytest.raises(ArmConflict, match="cannot be read by this version; post arm 'new' again"):
        await again.move("new", "enabled")
    assert (await again.added("new", options={"salt": "t"})).state == "ready"
    assert again.learner.state.arms["new"].settings["options"] == {"salt": "t"}


async def test_a_configuration_that_names_the_same_arm_wins(lives: Any) -> None:
    life = await lives()
    await life.added("new", options={"salt": "s"})
    configured = (*CONFIGURED, ArmSettings(name="new", kind="fake", options={"salt": "t"}))
    again = await lives(configured=configured)
    assert [settings.options for settings in again.made if settings.name == "new"] == [{"salt": "t"}]
    assert (await again.kinds()).count("arm") == 3


async def test_an_arm_that_left_the_configuration_may_be_added_and_keeps_what_it_learned(lives: Any) -> None:
    await lives()
    life = await lives(configured=CONFIGURED[:1])
    assert life.states().keys() == {"one"}
    x = np.ones(CONTEXT.dimension)
    async with life.store.writing() as log:
        life.learner.apply([await log.append(make_teaching(0, x, [Update(arm="two", reward=1.0)]))])
    await life.added("two")
    assert life.learner.state.arms["two"].pulls == 1
    again = await lives(configured=CONFIGURED[:1])
    assert again.states() == {"one": "ready", "two": "ready"}


async def test_a_policy_of_one_arm_does_not_start_without_it(lives: Any) -> None:
    life = await lives()
    await life.move("two", "draining")
    with pytest.raises(ConfigError, match=r"policy\.name: .*'two'.* draining"):
        await lives(fixed="two")


def test_the_errors_are_the_services() -> None:
    assert issubclass(ArmConflict, LaserveError)
    assert ArmConflict.status == 409
    assert Forbidden.status == 403


# other reward models under the name of an arm


async def changes(life: Life) -> list[dict[str, Any]]:
    return [dict(event.body) async for event in life.store.events() if event.kind == "change"]


async def reloaded(life: Life, name: str) -> Arm:
    arm = await life.move(name, "retired")
    await until(lambda: arm.loading == "unloaded")
    await life.move(name, "enabled")
    await until(lambda: arm.state == "ready")
    return arm


async def teach(life: Life, name: str) -> None:
    d = CONTEXT.dimension
    event = make_teaching(0, np.eye(d)[0], [Update(arm=name, reward=1.0)], played=name)
    await life.log.append(event)


async def test_an_arm_that_joins_tells_its_fingerprint(lives: Any) -> None:
    life = await lives(fingerprints={"new": "a"})
    await life.added("new")
    assert life.learner.state.arms["new"].fingerprint == "a"
    assert await changes(life) == []


@pytest.mark.parametrize("name", ["new", "two"])
async def test_an_arm_that_is_loaded_anew_with_another_model_widens(lives: Any, name: str) -> None:
    life = await lives(fingerprints={"new": "a", "two": "a"})
    await life.added("new")
    await reloaded(life, "two")  # which notes what it is
    noted = await changes(life)
    await teach(life, name)
    learned = life.learner.state.arms[name].S[0, 0]
    life.fingerprints[name] = "b"
    await reloaded(life, name)
    assert (await changes(life))[len(noted) :] == [
        {"what": "arm", "arm": name, "before": "a", "after": "b", "kept": 0.5}
    ]
    assert life.learner.state.arms[name].S[0, 0] == 0.5 * learned
    await reloaded(life, name)
    assert len(await changes(life)) == len(noted) + 1
    assert (await fold(life.store)).digest() == life.learner.state.digest()


async def test_an_arm_of_another_model_under_a_name_that_the_log_has_widens(lives: Any) -> None:
    life = await lives(fingerprints={"new": "a"})
    await life.added("new", options={"salt": "a"})
    await teach(life, "new")

    class Broken(Life):
        def build(self, settings: ArmSettings) -> Arm:
            if settings.options == {"salt": "a"}:
                raise RuntimeError("no device")
            return super().build(settings)

    await life.stop()
    again = await Broken(life.store, fingerprints={"new": "b"}).start()
    assert again.states()["new"] == "failed"
    await again.added("new", options={"salt": "b"})
    arm = again.learner.state.arms["new"]
    assert (arm.fingerprint, arm.S[0, 0], arm.settings["options"]) == ("b", 0.5, {"salt": "b"})
    assert (await again.kinds())[-2:] == ["change", "arm"]
    await again.stop()


async def test_a_model_that_cannot_be_known_is_no_other_one(lives: Any) -> None:
    life = await lives(fingerprints={"new": "a"})
    await life.added("new")
    del life.fingerprints["new"]
    await reloaded(life, "new")
    assert await changes(life) == []
    assert life.learner.state.arms["new"].fingerprint == "a"


# before the service has been ready


@pytest.fixture
async def unready(store: SqlStore) -> AsyncIterator[Life]:
    """A first start whose arms have loaded, and whose generator has not."""
    life = Life(store)
    await life.begin()
    await life.arms.load()
    yield life
    await life.stop()


async def test_an_arm_that_is_added_before_the_generator_has_loaded_joins_after_it(unready: Life) -> None:
    arm = await unready.add("new")
    await until(lambda: unready.next["new"] is None and len(unready.made) == 3)
    await asyncio.sleep(0.01)
    assert arm.loading == "loading"
    assert await unready.kinds() == []
    unready.opening.allow()
    await until(lambda: arm.loading == "ready")
    assert await unready.kinds() == ["start", "arm", "arm", "arm"]
    assert list(unready.learner.state.arms) == ["one", "two", "new"]


async def test_a_failed_arm_that_loads_at_last_begins_the_log(store: SqlStore) -> None:
    life = Life(store, configured=CONFIGURED[:1])
    life.arms.get("one").model = UnloadableModel()  # type: ignore[union-attr]
    await life.begin()
    await life.arms.load()
    life.opening.allow()
    assert life.states() == {"one": "failed"}
    assert await life.kinds() == []
    arm = await life.move("one", "enabled")
    await until(lambda: arm.loading == "ready")
    assert await life.kinds() == ["start", "arm"]
    await life.stop()


@pytest.mark.parametrize("status", ["draining", "retired"])
async def test_no_arm_is_put_away_in_a_log_that_has_not_begun(unready: Life, status: ArmStatus) -> None:
    with pytest.raises(NotReady, match="has not been ready yet"):
        await unready.move("one", status)
    assert unready.states()["one"] == "ready"
    assert await unready.kinds() == []
    unready.opening.allow()
    await unready.opening.write()
    assert (await unready.move("one", status)).status == status
