"""The supervision of an engine: its start, the detection of its death, and its restart."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from laserve.errors import EngineError, LaserveError, NotReady
from laserve.metrics import Metrics

logger = logging.getLogger(__name__)

#: Seconds between two checks of the engine; a request that fails detects its death at once.
LOOK_EVERY_S = 0.1
#: Expected duration of a start before the first one has been measured, in seconds.
_EXPECTED_START_S = 30.0


class Engine(Protocol):
    """An engine with processes of its own, which may die."""

    def cause_of_death(self) -> str | None:
        """Reason why the engine cannot serve any more; None while it can."""

    def stop(self) -> None:
        """Block until the engine's processes are gone, alive or dead; it may be started again."""

    def close(self) -> None:
        """Block until the engine is gone for good."""


E = TypeVar("E", bound=Engine)


class Supervisor(Generic[E]):
    """The supervisor of one engine, which it restarts when the engine dies.

    Starts and stops block, so they run in a thread while the event loop goes on. The next start follows a
    death at once, unless the engine died young or could not be started: then after 1, 2, 4 .. seconds.

    Args:
        name: name of the engine in logs and metrics.
        start: blocks until an engine has started; after a death it gets the dead engine, to start it again
            or to replace it. Raises LaserveError if it cannot.
        prove: lets a new engine serve a first request before it counts as ready. Raises LaserveError.
        interrupt: makes a `start` in another thread fail soon; called repeatedly until it has failed.
        first_pause_s: pause after the first failure in seconds, doubled for each further failure.
        longest_pause_s: longest pause, in seconds.
        steady_s: age in seconds from which a death does not count as a failure.
    """

    def __init__(
        self,
        name: str,
        *,
        start: Callable[[E | None], E],
        prove: Callable[[E], Awaitable[None]],
        interrupt: Callable[[], None],
        metrics: Metrics,
        first_pause_s: float = 1.0,
        longest_pause_s: float = 60.0,
        steady_s: float = 60.0,
    ) -> None:
        self._name = name
        self._start = start
        self._prove = prove
        self._interrupt = interrupt
        self._metrics = metrics
        self._first_pause_s = first_pause_s
        self._longest_pause_s = longest_pause_s
        self._steady_s = steady_s
        #: The engine that was started last, alive or dead.
        self._engine: E | None = None
        #: Whether the engine has been proved and its death has not been noticed.
        self._up = False
        self._starting: asyncio.Future[E] | None = None
        #: The latest stop in a thread.
        self._stopping: list[asyncio.Future[None]] = []
        self._watcher: asyncio.Task[None] | None = None
        self._retired = False
        self._born: float | None = None
        self._start_s = _EXPECTED_START_S
        #: Monotonic time at which the next engine is expected to serve.
        self._due = 0.0
        #: Reason why no engine serves now.
        self._why = ""

    async def start(self) -> None:
        """Start the first engine, and watch it from then on. Raises the errors of `start`."""
        self._metrics.engine_up.labels(self._name).set_function(lambda: float(self._serves))
        for outcome in ("ready", "failed"):
            self._metrics.engine_restarts.labels(self._name, outcome)
        await self._try()
        self._watcher = asyncio.create_task(self._watch(), name=f"watch-{self._name}")

    def retire(self) -> None:
        """Start no engine from now on; a running engine continues."""
        self._retired = True

    async def close(self) -> None:
        self._retired = True
        self._metrics.engine_up.remove(self._name)
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, *self._stopping, return_exceptions=True)
        # A thread cannot be cancelled; if it were left running, its engine would outlive this process.
        while self._starting is not None and not self._starting.done():
            self._interrupt()
            await asyncio.wait({self._starting}, timeout=LOOK_EVERY_S)
        if self._starting is not None and not self._starting.exception():
            self._engine = self._starting.result()
        self._starting = None
        self._up = False
        if self._engine is not None:
            await asyncio.to_thread(self._engine.close)
            self._engine = None

    @property
    def engine(self) -> E:
        """The engine that serves.

        Raises:
            NotReady: the first engine is still loading.
            EngineError: the engine has died; ``retry_after`` is the expected wait for the next one.
        """
        if self._born is None:
            raise NotReady("the engine is still loading")
        why, wait_s = self._why, self._due - time.monotonic()
        if self._up and self._engine is not None:
            cause = self._engine.cause_of_death()
            if cause is None:
                return self._engine
            why, wait_s = cause, self._start_s  # a death that `_watch` has not noticed yet
        if self._retired:
            raise EngineError(f"the engine has died ({why}) and the service is stopping")
        raise EngineError(
            f"the engine has died ({why}); it is being restarted", retry_after=max(1, round(wait_s))
        )

    @property
    def _serves(self) -> bool:
        """Whether an engine serves now."""
        return self._up and self._engine is not None and self._engine.cause_of_death() is None

    async def _try(self) -> None:
        began = time.monotonic()
        self._due = began + self._start_s
        self._starting = asyncio.ensure_future(asyncio.to_thread(self._start, self._engine))
        self._engine = await asyncio.shield(self._starting)
        self._starting = None
        try:
            await self._proved(self._engine)
        except Exception:  # after any error, the engine's processes must not remain
            await asyncio.to_thread(self._engine.stop)
            raise
        self._up = True
        self._born = time.monotonic()
        self._start_s = self._born - began

    async def _proved(self, engine: E) -> None:
        """Wait for the proof, unless the engine dies during it."""
        proof = asyncio.ensure_future(self._prove(engine))
        try:
            while not proof.done() and engine.cause_of_death() is None:
                await asyncio.wait({proof}, timeout=LOOK_EVERY_S)
            if (cause := engine.cause_of_death()) is not None:
                raise EngineError(f"the engine died during its first request: {cause}")
            await proof
        finally:
            proof.cancel()
            await asyncio.gather(proof, return_exceptions=True)

    async def _watch(self) -> None:
        failures = 0
        while not self._retired:
            if not self._up:
                failures += not await self._restart(failures)
            elif self._engine is not None and (cause := self._engine.cause_of_death()) is not None:
                failures = await self._bury(self._engine, cause, failures)
            else:
                await asyncio.sleep(LOOK_EVERY_S)

    async def _bury(self, engine: E, cause: str, failures: int) -> int:
        """Stop the rest of a dead engine; returns the number of failures in a row, with this one."""
        lived_s = time.monotonic() - (self._born or 0.0)
        logger.error("engine %s has died after %.0f s: %s", self._name, lived_s, cause)
        self._up, self._why, self._due = False, cause, time.monotonic() + self._start_s
        stopping = asyncio.ensure_future(asyncio.to_thread(engine.stop))
        self._stopping = [stopping]
        await asyncio.shield(stopping)
        return 0 if lived_s >= self._steady_s else failures + 1

    async def _restart(self, failures: int) -> bool:
        """Try to restart once, after the pause for this number of failures in a row."""
        pause_s = self._pause_s(failures)
        self._due = time.monotonic() + pause_s + self._start_s
        if pause_s:
            logger.warning(
                "engine %s: failure %d in a row, next start in %g s", self._name, failures, pause_s
            )
            await asyncio.sleep(pause_s)
            if self._retired:
                return False
        try:
            await self._try()
        except Exception as error:  # noqa: BLE001 - after any error, the next attempt may succeed
            self._why = error.message if isinstance(error, LaserveError) else repr(error)
            self._metrics.engine_restarts.labels(self._name, "failed").inc()
            logger.error("engine %s: %s", self._name, self._why)  # noqa: TRY400 - the message is enough
            return False
        self._metrics.engine_restarts.labels(self._name, "ready").inc()
        logger.info("engine %s serves again after %.0f s", self._name, self._start_s)
        return True

    def _pause_s(self, failures: int) -> float:
        """Seconds until the next start: 0 without a failure, then doubling with each failure."""
        if not failures:
            return 0.0
        return min(self._first_pause_s * 2.0 ** min(failures - 1, 30), self._longest_pause_s)
