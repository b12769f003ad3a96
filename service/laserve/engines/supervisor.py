"""Keeps an engine alive: starts it, notices its death, and starts the next."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from laserve.errors import EngineError, LaserveError, NotReady
from laserve.metrics import Metrics

logger = logging.getLogger(__name__)

#: Seconds between two looks at the engine; a request that it fails sees its death at once.
LOOK_EVERY_S = 0.1
#: What a start is expected to take before one has been seen, in seconds.
_EXPECTED_START_S = 30.0


class Engine(Protocol):
    """Something with processes of its own that may die."""

    def cause_of_death(self) -> str | None:
        """Why it cannot serve any more; None while it can."""

    def stop(self) -> None:
        """Block until its processes are gone, whether it lives or not; it may be started again."""

    def close(self) -> None:
        """The same, for good."""


E = TypeVar("E", bound=Engine)


class Supervisor(Generic[E]):
    """One engine at a time; when it dies, the next is started.

    Starts and stops block, so they run in a thread while the event loop goes on. The next start follows a
    death at once, unless the engine died young or could not be started: then it waits, 1, 2, 4 .. seconds.

    Args:
        name: in logs and metrics.
        start: blocks until an engine has started; after a death it is given the dead one, to start it again
            or another in its place. Raises LaserveError when it cannot.
        prove: makes a new engine do its work once; it is not called ready before. Raises LaserveError.
        interrupt: makes a `start` that runs in another thread fail soon; called until it has.
        first_pause_s: pause after the first failure, doubled for each one that follows.
        longest_pause_s: where the doubling ends.
        steady_s: an engine that lived this long did not die young.
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
        #: The last one that was started, alive or dead.
        self._engine: E | None = None
        #: Whether it has been proved and not been found dead since.
        self._up = False
        self._starting: asyncio.Future[E] | None = None
        #: The last stop that ran in a thread.
        self._stopping: list[asyncio.Future[None]] = []
        self._watcher: asyncio.Task[None] | None = None
        self._retired = False
        self._born: float | None = None
        self._start_s = _EXPECTED_START_S
        #: When the next engine is expected to serve.
        self._due = 0.0
        #: Why none serves now.
        self._why = ""

    async def start(self) -> None:
        """Start the first engine, and watch from then on. Raises what `start` raises."""
        await self._try()
        self._watcher = asyncio.create_task(self._watch(), name=f"watch-{self._name}")

    def retire(self) -> None:
        """Start no engine any more; the one that lives goes on."""
        self._retired = True

    async def close(self) -> None:
        self._retired = True
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, *self._stopping, return_exceptions=True)
        # A thread cannot be cancelled: were it left alone, its engine would outlive this process.
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
            NotReady: the first one is still loading.
            EngineError: it has died; ``retry_after`` is when the next one is expected to serve.
        """
        if self._born is None:
            raise NotReady("the engine is still loading")
        why, wait_s = self._why, self._due - time.monotonic()
        if self._up and self._engine is not None:
            cause = self._engine.cause_of_death()
            if cause is None:
                return self._engine
            why, wait_s = cause, self._start_s  # not noticed yet
        if self._retired:
            raise EngineError(f"the engine has died ({why}) and the service is stopping")
        raise EngineError(
            f"the engine has died ({why}); it is being started again", retry_after=max(1, round(wait_s))
        )

    async def _try(self) -> None:
        began = time.monotonic()
        self._due = began + self._start_s
        self._starting = asyncio.ensure_future(asyncio.to_thread(self._start, self._engine))
        self._engine = await asyncio.shield(self._starting)
        self._starting = None
        try:
            await self._proved(self._engine)
        except Exception:  # whatever it was, its processes must not stay
            await asyncio.to_thread(self._engine.stop)
            raise
        self._up = True
        self._born = time.monotonic()
        self._start_s = self._born - began

    async def _proved(self, engine: E) -> None:
        """Wait for the proof, unless the engine dies over it."""
        proof = asyncio.ensure_future(self._prove(engine))
        try:
            while not proof.done() and engine.cause_of_death() is None:
                await asyncio.wait({proof}, timeout=LOOK_EVERY_S)
            if (cause := engine.cause_of_death()) is not None:
                raise EngineError(f"the engine died over its first request: {cause}")
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
        """Clear away what is left of a dead engine; returns the failures in a row, this one included."""
        lived_s = time.monotonic() - (self._born or 0.0)
        logger.error("engine %s has died after %.0f s: %s", self._name, lived_s, cause)
        self._up, self._why, self._due = False, cause, time.monotonic() + self._start_s
        stopping = asyncio.ensure_future(asyncio.to_thread(engine.stop))
        self._stopping = [stopping]
        await asyncio.shield(stopping)
        return 0 if lived_s >= self._steady_s else failures + 1

    async def _restart(self, failures: int) -> bool:
        """One attempt to start again, after the pause that this many failures in a row ask for."""
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
        except Exception as error:  # noqa: BLE001 - whatever it was, the next attempt may do better
            self._why = error.message if isinstance(error, LaserveError) else repr(error)
            self._metrics.engine_restarts.labels(self._name, "failed").inc()
            logger.error("engine %s: %s", self._name, self._why)  # noqa: TRY400 - the message says it all
            return False
        self._metrics.engine_restarts.labels(self._name, "ready").inc()
        logger.info("engine %s serves again after %.0f s", self._name, self._start_s)
        return True

    def _pause_s(self, failures: int) -> float:
        """Seconds until the next start: 0 without a failure before it, then doubling."""
        if not failures:
            return 0.0
        return min(self._first_pause_s * 2.0 ** min(failures - 1, 30), self._longest_pause_s)
