"""Keeps an engine alive: starts it, notices its death, and starts the next."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Generic, Literal, Protocol, TypeVar

from laserve.errors import EngineError, LaserveError, NotReady, Unavailable
from laserve.metrics import Metrics

logger = logging.getLogger(__name__)

#: Seconds between two looks at the engine; a request that it fails sees its death at once.
LOOK_EVERY_S = 0.2
#: What a start is expected to take before one has been seen, in seconds.
_EXPECTED_START_S = 30.0

SupervisorState = Literal["loading", "ready", "restarting", "stopped"]


class Engine(Protocol):
    """Something with processes of its own that may die."""

    def cause_of_death(self) -> str | None:
        """Why it cannot serve any more; None while it can."""

    def stop(self) -> None:
        """Block until its processes are gone, whether it lives or not."""


E = TypeVar("E", bound=Engine)


class Supervisor(Generic[E]):
    """One engine at a time; when it dies, the next is started.

    Starts and stops block, so they run in a thread while the event loop goes on. The next start follows a
    death at once, unless the engine died young or could not be started: then it waits 1, 2, 4 .. seconds.

    Args:
        name: in logs and metrics.
        start: blocks until a new engine serves. Raises LaserveError when it cannot.
        interrupt: makes a `start` that runs in another thread fail soon; called until it has.
        first_pause_s: pause before the second attempt; doubled for each one that follows.
        longest_pause_s: where the doubling ends.
        steady_s: an engine that lived this long did not die young.
    """

    def __init__(
        self,
        name: str,
        *,
        start: Callable[[], E],
        interrupt: Callable[[], None],
        metrics: Metrics,
        first_pause_s: float = 1.0,
        longest_pause_s: float = 60.0,
        steady_s: float = 60.0,
    ) -> None:
        self._name = name
        self._start = start
        self._interrupt = interrupt
        self._metrics = metrics
        self._first_pause_s = first_pause_s
        self._longest_pause_s = longest_pause_s
        self._steady_s = steady_s
        self._engine: E | None = None
        self._starting: asyncio.Future[E] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._retired = False
        self._born = 0.0
        self._start_s = _EXPECTED_START_S
        self._due = 0.0  # when the next engine is expected to serve
        #: Why there is no engine now.
        self._why = "it is still loading"

    async def start(self) -> None:
        """Start the first engine, and watch from then on. Raises what `start` raises."""
        self._engine = await self._try()
        self._watcher = asyncio.create_task(self._watch(), name=f"watch-{self._name}")

    def retire(self) -> None:
        """Start no engine any more; the one that lives goes on."""
        self._retired = True

    async def close(self) -> None:
        self._retired = True
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        # A thread cannot be cancelled: were it left alone, its engine would outlive this process.
        while self._starting is not None and not self._starting.done():
            self._interrupt()
            await asyncio.wait({self._starting}, timeout=LOOK_EVERY_S)
        if self._starting is not None and not self._starting.exception():
            self._engine = self._starting.result()
        if self._engine is not None:
            engine, self._engine = self._engine, None
            await asyncio.to_thread(engine.stop)

    @property
    def state(self) -> SupervisorState:
        if self._engine is not None and self._engine.cause_of_death() is None:
            return "ready"
        if self._retired:
            return "stopped"
        return "restarting" if self._born else "loading"

    @property
    def engine(self) -> E:
        """The engine that serves.

        Raises:
            NotReady: the first one is still loading.
            EngineError: it has died; ``retry_after`` is when the next one is expected to serve.
        """
        why = self._why
        if self._engine is not None:
            cause = self._engine.cause_of_death()
            if cause is None:
                return self._engine
            why = cause
        raise self._unavailable(why)

    def _unavailable(self, why: str) -> Unavailable:
        if not self._born:
            return NotReady("the engine is still loading")
        if self._retired:
            return EngineError(f"the engine has died ({why}) and the service is stopping")
        wait_s = self._due - time.monotonic() if self._engine is None else self._start_s
        return EngineError(
            f"the engine has died ({why}); another is being started", retry_after=max(1, round(wait_s))
        )

    async def _try(self) -> E:
        began = time.monotonic()
        self._due = began + self._start_s
        self._starting = asyncio.ensure_future(asyncio.to_thread(self._start))
        engine = await asyncio.shield(self._starting)
        self._starting = None
        self._born = time.monotonic()
        self._start_s = self._born - began
        return engine

    async def _watch(self) -> None:
        failures = 0
        while not self._retired:
            if self._engine is None:
                failures += not await self._restart(failures)
            elif (cause := self._engine.cause_of_death()) is not None:
                lived_s = time.monotonic() - self._born
                failures = 0 if lived_s >= self._steady_s else failures + 1
                logger.error("engine %s has died after %.0f s: %s", self._name, lived_s, cause)
                dead, self._engine, self._why = self._engine, None, cause
                await asyncio.to_thread(dead.stop)
            else:
                await asyncio.sleep(LOOK_EVERY_S)

    async def _restart(self, failures: int) -> bool:
        """One attempt at the next engine, after the pause that this many failures in a row ask for."""
        pause_s = min(self._first_pause_s * 2 ** (failures - 2), self._longest_pause_s) if failures > 1 else 0
        self._due = time.monotonic() + pause_s + self._start_s
        if pause_s:
            logger.warning(
                "engine %s: %d failures in a row, next start in %g s", self._name, failures, pause_s
            )
            await asyncio.sleep(pause_s)
        try:
            self._engine = await self._try()
        except LaserveError as error:
            self._why = error.message
            self._metrics.engine_restarts.labels(self._name, "failed").inc()
            logger.error("engine %s: %s", self._name, error.message)  # noqa: TRY400 - the message says it all
            return False
        self._metrics.engine_restarts.labels(self._name, "ready").inc()
        logger.info("engine %s serves again after %.0f s", self._name, self._start_s)
        return True
