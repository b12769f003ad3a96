"""The door: permits, body size, and work that ends when its client leaves. Pure ASGI."""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from laserve.api.errors import respond
from laserve.errors import NoCandidate, Overloaded, TooLarge, Unavailable
from laserve.metrics import Metrics

logger = logging.getLogger(__name__)

#: A body over the limit is read to its end and thrown away, so that its sender sees the answer; up to here.
_DRAIN_BYTES = 64 * 2**20
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


class BodyLimit:
    """Refuses bodies over a limit with 413, before anything parses them.

    Args:
        max_bytes: largest body.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        messages: list[Message] = []
        size = 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                messages.append(message)
                break
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
            if size <= self.max_bytes:
                messages.append(message)
            elif size > _DRAIN_BYTES:
                break
        if size > self.max_bytes:
            error = TooLarge(
                f"body: larger than {self.max_bytes} bytes, the limit set by server.max_body_bytes",
                param="body",
            )
            await respond(error)(scope, receive, send)
            return

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        await self.app(scope, replay, send)


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


class CancelOnDisconnect:
    """Cancels a request's work when its client goes away, or when the service must stop.

    Starlette leaves plain handlers running then; here the handler races the connection.
    """

    def __init__(self, app: ASGIApp, *, underway: Underway) -> None:
        self.app = app
        self.underway = underway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        inbox: asyncio.Queue[Message] = asyncio.Queue(maxsize=2)
        gone = begun = answered = False

        async def note(message: Message) -> None:
            nonlocal begun, answered
            begun = True
            self.underway.started(work)
            await send(message)
            answered = message["type"] == "http.response.body" and not message.get("more_body", False)

        async def watch() -> None:
            nonlocal gone
            while not gone:
                message = await receive()
                if message["type"] == "http.disconnect":
                    gone = True
                    if not answered:
                        work.cancel()
                await inbox.put(message)

        work = asyncio.ensure_future(self.app(scope, inbox.get, note))
        watcher = asyncio.create_task(watch())
        try:
            with self.underway.holding(work):
                await work
        except asyncio.CancelledError:
            if self.underway.aborted and not gone and not begun:
                await respond(Unavailable("the service is stopping"))(scope, inbox.get, send)
            elif gone:
                logger.info("%s %s: the client left", scope["method"], scope["path"])
            else:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)
                raise
        finally:
            watcher.cancel()


class CountRequests:
    """Counts answers by endpoint and status; ``/v1`` and the bare path are the same endpoint."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._count(scope, message["status"])
            await send(message)

        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            await self.app(scope, receive, counted)
        except Exception:  # counted and raised on: the framework makes the answer further out
            self._count(scope, 500)
            raise

    def _count(self, scope: Scope, status: int) -> None:
        path = getattr(scope.get("route"), "path", "unmatched").removeprefix("/v1")
        self.metrics.requests.labels(path, str(status)).inc()
