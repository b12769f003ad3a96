"""Admission control: permits for decisions, and the set of requests under way."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from laserve.errors import NoCandidate, Overloaded
from laserve.metrics import Metrics

#: Upper bound of `Retry-After`, in seconds.
LONGEST_RETRY_S = 240.0


class Permits:
    """A bound on the decisions under way; further requests are refused, not queued.

    A refused request gets a `retry_after`: each one later than the one before, at the pace at which decisions
    finish now, so that clients that obey it find a free permit instead of colliding.

    Args:
        limit: number of permits.
        clock: gives monotonic time, in seconds.
    """

    def __init__(self, limit: int, *, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self.taken = 0
        self._metrics = metrics
        self._clock = clock
        #: Recent mean of the seconds from one decision's end to the next while all permits are taken.
        self._pace_s = 1.0
        #: Time by `clock` at which the request that was refused last should come back.
        self._next_retry = 0.0

    @property
    def busy(self) -> bool:
        """Whether more than half of the permits are taken."""
        return 2 * self.taken > self.limit

    @contextmanager
    def permit(self) -> Iterator[None]:
        """Hold one permit.

        Raises:
            Overloaded: no permit is free; ``retry_after`` is the expected wait for one.
        """
        if self.taken >= self.limit:
            self._metrics.rejected.labels("overloaded").inc()
            raise Overloaded(
                f"{self.limit} requests are under way, as many as server.max_concurrent_requests allows",
                retry_after=self._retry_after(),
            )
        self.taken += 1
        if self.taken < self.limit:
            self._next_retry = 0.0  # a permit is free, so the schedule starts anew
        self._publish()
        started, beside = self._clock(), self.taken
        try:
            yield
            self._learn_pace(self._clock() - started, max(beside, self.taken))
        except NoCandidate:
            self._learn_pace(self._clock() - started, max(beside, self.taken))
            raise
        finally:
            self.taken -= 1
            self._publish()

    def _publish(self) -> None:
        self._metrics.permits_in_use.set(self.taken)

    def _learn_pace(self, seconds: float, at_once: int) -> None:
        """Update the pace. By Little's law, decisions end every ``seconds / at_once`` seconds."""
        self._pace_s += 0.1 * (seconds / at_once - self._pace_s)

    def _retry_after(self) -> int:
        now = self._clock()
        self._next_retry = min(max(self._next_retry, now) + self._pace_s, now + LONGEST_RETRY_S)
        return max(1, math.ceil(self._next_retry - now))


class Underway:
    """The requests under way, which are ended when the service must stop."""

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
        """Drop a request whose answer has begun, which `abort` does not cancel."""
        self._work.discard(work)

    def abort(self) -> None:
        """End all requests: cancel those whose answer has not begun, and the current step of each stream."""
        self.aborted = True
        for work in tuple(self._work):
            work.cancel()
        for step in tuple(self._steps):
            step.reschedule(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def unless_aborted(self) -> AsyncIterator[None]:
        """One step of a stream. Raises TimeoutError when `abort` is called before its end."""
        async with asyncio.timeout(0 if self.aborted else None) as step:
            self._steps.add(step)
            try:
                yield
            finally:
                self._steps.discard(step)
