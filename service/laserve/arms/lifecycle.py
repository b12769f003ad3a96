"""Arms that come and go while the service runs. The log has what became of them, so a restart knows it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

from pydantic import ValidationError

from laserve.arms.arm import Arm, unavailable_arm
from laserve.arms.arms import Arms
from laserve.config import ArmSettings
from laserve.errors import ArmConflict, ConfigError, InvalidRequest, LaserveError, NotFound
from laserve.eventlog.event_log import EventLog
from laserve.eventlog.learner import Learner
from laserve.eventlog.model_changes import Fingerprints, change_events, log_changes
from laserve.scoring.allowed import Allowed
from laserve.types import ArmStatus, Event, Vector

logger = logging.getLogger(__name__)

_UNREADABLE = "its settings in the log are not of this version"


class Lifecycle:
    """Adds arms, drains them, retires them and brings them back.

    Args:
        configured: settings of the arms that the configuration names.
        build: makes an arm that has not loaded; it may import and look at files. Raises ConfigError.
        allowed: what may be added.
        limit: most arms at once, whatever their state.
        kept: the arm that the configured policy always plays, if it is of that sort.
        fingerprint: of the reward model that these settings make; it may read files.
        on_change: share of what was learned of an arm that is kept when it has another, in [0, 1].
    """

    def __init__(
        self,
        *,
        arms: Arms,
        configured: Iterable[ArmSettings],
        learner: Learner,
        log: EventLog,
        build: Callable[[ArmSettings], Arm],
        allowed: Allowed,
        limit: int,
        kept: str | None,
        fingerprint: Callable[[ArmSettings], str | None] = lambda settings: None,
        on_change: float = 1.0,
    ) -> None:
        self._arms = arms
        self._settings = {arm.name: arm for arm in configured}
        self._configured = frozenset(self._settings)
        self._learner = learner
        self._log = log
        self._build = build
        self._allowed = allowed
        self._limit = limit
        self._kept = kept
        self._fingerprint = fingerprint
        self._on_change = on_change
        #: One change at a time.
        self._gate = asyncio.Lock()
        self._changes: set[asyncio.Task[Arm]] = set()
        #: Arm -> its loading or closing.
        self._work: dict[str, asyncio.Task[None]] = {}

    def restore(self) -> None:
        """Bring back the arms that the log has and the configuration has not, and every arm's status.

        An arm that is not allowed any more, or cannot be made, fails when it is to be loaded.

        Raises:
            ConfigError: the configured policy plays an arm that was drained or retired.
        """
        for name, state in self._learner.state.arms.items():
            arm = self._arms.get(name)
            if arm is None:
                if state.settings is None:
                    continue  # it has left the configuration
                arm = self._restored(name, dict(state.settings), state.status)
                self._arms.put(arm)
            arm.status = state.status
            if arm.status == "retired":
                arm.loading = "unloaded"
                self._arms.hide(arm)
            if name == self._kept and arm.status != "enabled":
                raise ConfigError.at(
                    "policy.name",
                    f"plays {name!r} alone, which is {arm.status} in this log; start with "
                    f"another policy and enable it (PATCH /arms/{name})",
                )

    async def add(self, settings: ArmSettings) -> Arm:
        """Add an arm and let it load; once it has loaded it joins the log and can be drawn.

        Raises:
            Forbidden: the configuration does not allow it.
            InvalidRequest: its kind does not take these options.
            ArmConflict: there is an arm of that name, or there are too many.
        """
        self._allowed.check(settings.kind, settings.options)
        return await self._whole(self._add(settings))

    async def move(self, name: str, status: ArmStatus) -> Arm:
        """Enable, drain or retire an arm. Enabling one that has failed loads it again.

        Raises:
            NotFound: there is no such arm.
            ArmConflict: it is loading, the last one that is ready, or the one that the policy plays.
            Forbidden: it would have to be loaded again, and the configuration does not allow it any more.
            StoreError: the database refused; nothing has changed.
        """
        return await self._whole(self._move(name, status))

    async def close(self) -> None:
        tasks = [*self._changes, *self._work.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _add(self, settings: ArmSettings) -> Arm:
        async with self._gate:
            before = self._replaceable(settings.name)
            try:
                arm = await asyncio.to_thread(self._made, settings)
            except ConfigError as error:
                message = error.message if error.param else f"options: {error.message}"
                raise InvalidRequest(message, param=error.param or "options") from error
            if before is not None:
                await _closed(before)
            self._settings[settings.name] = settings
            self._arms.put(arm)
            self._begin(arm, lambda: self._arms.load_one(arm, lambda: self._join(settings)))
            return arm

    def _replaceable(self, name: str) -> Arm | None:
        """The failed or unreadable arm of that name, None when there is none; else raises ArmConflict."""
        arm = self._arms.get(name)
        if arm is None:
            if len(self._arms) >= self._limit:
                raise ArmConflict(f"there are {self._limit} arms, as many as scoring.max_arms allows")
            return None
        if name not in self._settings:
            return arm  # the log has them, but they cannot be read
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
        """It has loaded: put it into the log, unless that has it as it is."""
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
            again = status == "enabled" and arm.loading in ("failed", "unloaded")
            if status == arm.status and not again:
                return arm
            self._check(arm, status)
            if again and name not in self._configured:
                settings = self._readable(name)
                self._allowed.check(settings.kind, settings.options)
            before = arm.status
            arm.status = status if status != "enabled" else before  # nobody draws it while the log takes it
            try:
                if status != before and name in self._learner.state.arms:
                    body = {"name": name, "state": status}
                    await self._log.append(Event(kind="arm_state", created_at=0.0, body=body))
            except BaseException:
                arm.status = before
                raise
            arm.status = status
            if again:
                arm.loading = "loading"
                self._begin(arm, lambda: self._reload(arm))
            elif status == "retired":
                self._begin(arm, lambda: self._put_away(arm))
            return arm

    def _readable(self, name: str) -> ArmSettings:
        if name not in self._settings:
            raise ArmConflict(f"state: {_UNREADABLE}; post arm {name!r} again (POST /arms)", param="state")
        return self._settings[name]

    def _check(self, arm: Arm, status: ArmStatus) -> None:
        name = arm.name
        if status == "enabled":
            return
        if name == self._kept:
            raise ArmConflict(f"state: arm {name!r} is the one that the policy plays", param="state")
        if arm.loading == "loading":
            raise ArmConflict(f"state: arm {name!r} is still loading", param="state")
        if arm.status == "retired":
            raise ArmConflict(f"state: arm {name!r} is retired; enable it first", param="state")
        if self._arms.ready == (name,):
            raise ArmConflict(f"state: arm {name!r} is the last one that is ready", param="state")

    async def _put_away(self, arm: Arm) -> None:
        """Close a retired arm when the requests that may ask it have ended, unless it is enabled by then."""
        while arm.requests:
            await arm.idle.wait()
        if arm.status == "retired" and arm.loading != "unloaded":
            await self._arms.unload(arm)
            logger.info("arm %s: retired, its model is closed", arm.name)

    async def _reload(self, arm: Arm) -> None:
        """Make its model anew and load it."""
        settings = self._settings[arm.name]
        await _closed(arm)
        try:
            fresh = await asyncio.to_thread(self._made, settings)
        except LaserveError as error:
            arm.loading, arm.error = "failed", error.message
            return
        arm.model, arm.circuit, arm.overlap = fresh.model, fresh.circuit, fresh.overlap
        arm.timeout_s = fresh.timeout_s
        await self._arms.load_one(arm, lambda: self._join(settings))

    def _restored(self, name: str, logged: dict[str, Any], status: ArmStatus) -> Arm:
        kind = str(logged.get("kind"))
        try:
            settings = self._settings[name] = ArmSettings(name=name, **logged)
            if status == "retired":
                return unavailable_arm(name, kind, "it is retired")
            self._allowed.check(settings.kind, settings.options)
            return self._made(settings)
        except ValidationError:
            return unavailable_arm(name, kind, _UNREADABLE)
        except LaserveError as error:
            return unavailable_arm(name, kind, error.message)

    def _made(self, settings: ArmSettings) -> Arm:
        """An arm of these settings. Raises ConfigError, also for what other packages raise."""
        try:
            return self._build(settings)
        except LaserveError:
            raise
        except Exception as error:
            raise ConfigError.at("options", f"{type(error).__name__}: {error}") from error

    def _begin(self, arm: Arm, work: Callable[[], Awaitable[None]]) -> None:
        """Let an arm's work follow what is under way for it."""
        earlier = self._work.get(arm.name)

        async def follow() -> None:
            if earlier is not None:
                await asyncio.wait({earlier})
            await work()

        self._work[arm.name] = asyncio.create_task(follow(), name=f"arm-{arm.name}")

    async def _whole(self, change: Coroutine[Any, Any, Arm]) -> Arm:
        """A change is made whole, also when its client leaves."""
        task = asyncio.create_task(change, name="change-arm")
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)
        return await asyncio.shield(task)


async def _closed(arm: Arm) -> None:
    """Close the model of an arm that has failed to load."""
    if arm.loading == "unloaded":
        return
    try:
        await arm.model.close()
    except Exception as error:  # noqa: BLE001 - a scorer may raise anything
        logger.warning("arm %s could not be closed: %s", arm.name, type(error).__name__)
