"""The changes of arms while the service runs; the log records them, so that they survive a restart."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

from pydantic import ValidationError

from laserve.arms.arm import Arm, unavailable_arm
from laserve.arms.arms import Arms
from laserve.config import ArmSettings
from laserve.errors import ArmConflict, ConfigError, InvalidRequest, LaserveError, NotFound, NotReady
from laserve.eventlog.event_log import EventLog
from laserve.eventlog.learner import Learner
from laserve.eventlog.model_changes import Fingerprints, change_events, log_changes
from laserve.scoring.allowed import Allowed
from laserve.types import ArmStatus, Event, Vector

logger = logging.getLogger(__name__)

_UNREADABLE = "its settings in the log cannot be read by this version"


class Lifecycle:
    """The lifecycle of arms: adding, enabling, draining and retiring.

    Args:
        configured: settings of the configured arms.
        begin: begins the log, unless it has begun, once the generator has loaded.
        build: makes an arm, not loaded yet; it may import modules and read files. Raises ConfigError.
        allowed: kinds, folders and URLs that added arms may use.
        limit: most arms at once, in any state.
        fixed: the arm that the configured policy always plays; None for a policy that draws arms.
        fingerprint: takes the fingerprint of the reward model of these settings; it may read files.
        on_change: share of an arm's learned evidence that is kept when its fingerprint changes, in [0, 1].
    """

    def __init__(
        self,
        *,
        arms: Arms,
        configured: Iterable[ArmSettings],
        learner: Learner,
        log: EventLog,
        begin: Callable[[], Awaitable[None]],
        build: Callable[[ArmSettings], Arm],
        allowed: Allowed,
        limit: int,
        fixed: str | None,
        fingerprint: Callable[[ArmSettings], str | None] = lambda settings: None,
        on_change: float = 1.0,
    ) -> None:
        self._arms = arms
        self._settings = {arm.name: arm for arm in configured}
        self._configured = frozenset(self._settings)
        self._learner = learner
        self._log = log
        self._begin = begin
        self._build = build
        self._allowed = allowed
        self._limit = limit
        self._fixed = fixed
        self._fingerprint = fingerprint
        self._on_change = on_change
        #: Held during a change: one change at a time.
        self._gate = asyncio.Lock()
        self._changes: set[asyncio.Task[Arm]] = set()
        #: Arm -> the task that loads or closes its model.
        self._work: dict[str, asyncio.Task[None]] = {}

    def restore(self) -> None:
        """Restore from the log the arms that are not configured, and the status of every arm.

        An arm that is no longer allowed, or cannot be made, fails when it is loaded.

        Raises:
            ConfigError: the configured policy plays an arm that was drained or retired.
        """
        for name, state in self._learner.state.arms.items():
            arm = self._arms.get(name)
            if arm is None:
                if state.settings is None:
                    continue  # the arm was removed from the configuration
                arm = self._restore_arm(name, dict(state.settings), state.status)
                self._arms.put(arm)
            arm.status = state.status
            if arm.status == "retired":
                arm.loading = "unloaded"
                self._arms.hide(arm)
            if name == self._fixed and arm.status != "enabled":
                raise ConfigError.at(
                    "policy.name",
                    f"plays {name!r} alone, which is {arm.status} in this log; start with "
                    f"another policy and enable it (PATCH /arms/{name})",
                )

    async def add(self, settings: ArmSettings) -> Arm:
        """Add an arm and start to load it; after loading it enters the log and can be drawn.

        Raises:
            Forbidden: the configuration does not allow it.
            InvalidRequest: its kind does not accept these options.
            ArmConflict: an arm of this name exists, or the number of arms is at its limit.
        """
        self._allowed.check(settings.kind, settings.options)
        return await self._complete(self._add(settings))

    async def move(self, name: str, status: ArmStatus) -> Arm:
        """Enable, drain or retire an arm. Enabling one that has failed loads it again.

        Raises:
            NotFound: no arm has this name.
            ArmConflict: the arm is loading, the last ready one, or the one that the policy always plays.
            Forbidden: the arm must be loaded again, and the configuration no longer allows it.
            StoreError: the database refused; nothing has changed.
            NotReady: the log has not begun, or the arm has not joined it yet.
        """
        return await self._complete(self._move(name, status))

    async def close(self) -> None:
        tasks = [*self._changes, *self._work.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _add(self, settings: ArmSettings) -> Arm:
        async with self._gate:
            before = self._replaceable(settings.name)
            try:
                arm = await asyncio.to_thread(self._build_arm, settings)
            except ConfigError as error:
                message = error.message if error.param else f"options: {error.message}"
                raise InvalidRequest(message, param=error.param or "options") from error
            if before is not None:
                await _close_model(before)
            self._settings[settings.name] = settings
            self._arms.put(arm)
            self._start_work(arm, lambda: self._arms.load_one(arm, lambda: self._join(settings)))
            return arm

    def _replaceable(self, name: str) -> Arm | None:
        """The failed or unreadable arm of this name, or None for a new name. Raises ArmConflict otherwise."""
        arm = self._arms.get(name)
        if arm is None:
            if len(self._arms) >= self._limit:
                raise ArmConflict(f"there are {self._limit} arms, as many as scoring.max_arms allows")
            return None
        if name not in self._settings:
            return arm  # the log has its settings, but they cannot be read
        enable = f'PATCH /arms/{name} with {{"state": "enabled"}}'
        if arm.status == "retired":
            raise ArmConflict(f"name: arm {name!r} is retired; {enable} brings it back", param="name")
        if arm.loading != "failed":
            raise ArmConflict(f"name: there is an arm {name!r}", param="name")
        if name in self._configured:
            raise ArmConflict(
                f"name: arm {name!r} is in the configuration; {enable} loads it again", param="name"
            )
        return arm

    async def _join(self, settings: ArmSettings) -> None:
        """Record a loaded arm in the log, unless the log has it with these settings."""
        await self._begin()
        fingerprint = await asyncio.to_thread(self._fingerprint, settings)
        now = Fingerprints(arms={settings.name: fingerprint})
        known = self._learner.state.arms.get(settings.name)
        events = change_events(self._learner.state, now, kept=self._on_change)
        prior: Vector = self._learner.newcomer_mean() if known is None else known.prior_mean
        body: dict[str, Any] = {"name": settings.name, "prior_mean": prior.tolist()}
        if settings.name not in self._configured:
            body["settings"] = settings.model_dump(mode="json", exclude={"name"})
        if fingerprint is not None:
            body["fingerprint"] = fingerprint
        added = body.get("settings")
        if known is None or known.status != "enabled" or (added is not None and added != known.settings):
            events.append(Event(kind="arm", created_at=0.0, body=body))
        if events:
            await self._log.append(*events)
            log_changes(events)

    async def _move(self, name: str, status: ArmStatus) -> Arm:
        async with self._gate:
            arm = self._arms.get(name)
            if arm is None:
                raise NotFound(f"name: no arm {name!r}", param="name")
            reload = status == "enabled" and arm.loading in ("failed", "unloaded")
            if status == arm.status and not reload:
                return arm
            self._check(arm, status)
            if name in self._configured and name not in self._learner.state.arms and not reload:
                raise NotReady("the service has not been ready yet, so the log has no such arm")
            if reload and name not in self._configured:
                settings = self._settings_of(name)
                self._allowed.check(settings.kind, settings.options)
            before = arm.status
            arm.status = (
                status if status != "enabled" else before
            )  # it must not be drawn while the event is written
            try:
                if status != before and name in self._learner.state.arms:
                    body = {"name": name, "state": status}
                    await self._log.append(Event(kind="arm_state", created_at=0.0, body=body))
            except BaseException:
                arm.status = before
                raise
            arm.status = status
            if reload:
                arm.loading = "loading"
                self._start_work(arm, lambda: self._reload(arm))
            elif status == "retired":
                self._start_work(arm, lambda: self._close_retired(arm))
            return arm

    def _settings_of(self, name: str) -> ArmSettings:
        if name not in self._settings:
            raise ArmConflict(f"state: {_UNREADABLE}; post arm {name!r} again (POST /arms)", param="state")
        return self._settings[name]

    def _check(self, arm: Arm, status: ArmStatus) -> None:
        name = arm.name
        if status == "enabled":
            return
        if name == self._fixed:
            raise ArmConflict(f"state: arm {name!r} is the one that the policy plays", param="state")
        if arm.loading == "loading":
            raise ArmConflict(f"state: arm {name!r} is still loading", param="state")
        if arm.status == "retired":
            raise ArmConflict(f"state: arm {name!r} is retired; enable it first", param="state")
        if self._arms.ready == (name,):
            raise ArmConflict(f"state: arm {name!r} is the last one that is ready", param="state")

    async def _close_retired(self, arm: Arm) -> None:
        """Close a retired arm when no request uses it any more, unless it is enabled by then."""
        while arm.requests:
            await arm.idle.wait()
        if arm.status == "retired" and arm.loading != "unloaded":
            await self._arms.unload(arm)
            logger.info("arm %s: retired, its model is closed", arm.name)

    async def _reload(self, arm: Arm) -> None:
        """Make the model of an arm again and load it."""
        settings = self._settings[arm.name]
        await _close_model(arm)
        try:
            fresh = await asyncio.to_thread(self._build_arm, settings)
        except LaserveError as error:
            arm.loading, arm.error = "failed", error.message
            return
        arm.model, arm.circuit, arm.overlap = fresh.model, fresh.circuit, fresh.overlap
        arm.timeout_s = fresh.timeout_s
        await self._arms.load_one(arm, lambda: self._join(settings))

    def _restore_arm(self, name: str, logged: dict[str, Any], status: ArmStatus) -> Arm:
        kind = str(logged.get("kind"))
        try:
            settings = self._settings[name] = ArmSettings(name=name, **logged)
            if status == "retired":
                return unavailable_arm(name, kind, "it is retired")
            self._allowed.check(settings.kind, settings.options)
            return self._build_arm(settings)
        except ValidationError:
            return unavailable_arm(name, kind, _UNREADABLE)
        except LaserveError as error:
            return unavailable_arm(name, kind, error.message)

    def _build_arm(self, settings: ArmSettings) -> Arm:
        """An arm of these settings. Errors of other packages are raised as ConfigError."""
        try:
            return self._build(settings)
        except LaserveError:
            raise
        except Exception as error:
            raise ConfigError.at("options", f"{type(error).__name__}: {error}") from error

    def _start_work(self, arm: Arm, work: Callable[[], Awaitable[None]]) -> None:
        """Start the work on an arm after the earlier work on it has ended."""
        earlier = self._work.get(arm.name)

        async def follow() -> None:
            if earlier is not None:
                await asyncio.wait({earlier})
            await work()

        self._work[arm.name] = asyncio.create_task(follow(), name=f"arm-{arm.name}")

    async def _complete(self, change: Coroutine[Any, Any, Arm]) -> Arm:
        """Complete a change, also when its client disconnects."""
        task = asyncio.create_task(change, name="change-arm")
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return await asyncio.shield(task)


async def _close_model(arm: Arm) -> None:
    """Close the model of an arm that has failed to load, if it has one."""
    if arm.loading == "unloaded":
        return
    try:
        await arm.model.close()
    except Exception as error:  # noqa: BLE001 - a scorer may raise anything
        logger.warning("arm %s could not be closed: %s", arm.name, type(error).__name__)
