"""Admission: permits for decisions, and the requests under way."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from laserve.errors import NoCandidate, Overloaded
from laserve.metrics import Metrics

#: Who is told to come back later than this would rather be told that it is too much.
LONGEST_RETRY_S = 240.0


class Permits:
    """At most so many decisions at once; one more is refused, not queued.

    Who is refused is told when to come back: each after the one before, at the pace at which decisions are
    finished now, so that those who heed it find a permit instead of each other.

    Args:
        limit: permits.
        clock: monotonic seconds.
    """

    def __init__(self, limit: int, *, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self.taken = 0
        self._metrics = metrics
        self._clock = clock
        #: Seconds from one decision's end to the next when all permits are taken, as it has been lately.
        self._pace_s = 1.0
        #: When the last one who was refused was told to come back.
        self._told = 0.0

    @property
    def busy(self) -> bool:
        """Whether more than half of the permits are taken."""
        return 2 * self.taken > self.limit

    @contextmanager
    def permit(self) -> Iterator[None]:
        """Hold one permit.

        Raises:
            Overloaded: none is free; ``retry_after`` is when one is expected to be.
        """
        if self.taken >= self.limit:
            self._metrics.rejected.labels("overloaded").inc()
            raise Overloaded(
                f"{self.limit} requests are under way, as many as server.max_concurrent_requests allows",
                retry_after=self._retry_after(),
            )
        self.taken += 1
        if self.taken < self.limit:
            self._told = 0.0  # there is room: nobody is waited for
        self._metrics.in_flight.set(self.taken)
        started, beside = self._clock(), self.taken
        try:
            yield
            self._learn_pace(self._clock() - started, max(beside, self.taken))
        except NoCandidate:
            self._learn_pace(self._clock() - started, max(beside, self.taken))
            raise
        finally:
            self.taken -= 1
            self._metrics.in_flight.set(self.taken)

    def _learn_pace(self, seconds: float, at_once: int) -> None:
        """By Little's law, so many at once that take so long each end one after another at this pace."""
        self._pace_s += 0.1 * (seconds / at_once - self._pace_s)

    def _retry_after(self) -> int:
        now = self._clock()
        self._told = min(max(self._told, now) + self._pace_s, now + LONGEST_RETRY_S)
        return max(1, math.ceil(self._told - now))


class Underway:
    """The requests under way, so that they can be ended when the service must stop."""

    def __init__(self) -> None:
        self.aborted = False
        self._steps: set[asyncio.Timeout] = set()
        self._work: set[asyncio.Future[None]] = set()

    @contextmanager
    def holding(self, work: "asyncio.Future[None]") -> Iterator[None]:
        self._work.add(work)
        try:
            yield
        finally:
            self._work.discard(work)

    def started(self, work: "asyncio.Future[None]") -> None:
        """Its answer has begun, and is left to end by itself."""
        self._work.discard(work)

    def abort(self) -> None:
        """End them all: cancel those whose answer has not begun, and the present step of each stream."""
        self.aborted = True
        for work in tuple(self._work):
            work.cancel()
        for step in tuple(self._steps):
            step.reschedule(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def unless_aborted(self) -> AsyncIterator[None]:
        """One step of a stream. Raises TimeoutError when they are ended before it is done."""
        async with asyncio.timeout(0 if self.aborted else None) as step:
            self._steps.add(step)
            try:
                yield
            finally:
                self._steps.discard(step)
