"""ASGI middleware: limit of the body size, cancellation when the client leaves, metrics of answers."""

import asyncio
import logging
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from laserve.admission import Underway
from laserve.api.errors import respond
from laserve.config.sections import ANONYMOUS
from laserve.errors import TooLarge, Unavailable
from laserve.metrics import Metrics

logger = logging.getLogger(__name__)

#: Bytes up to which a body over the limit is still read and discarded, so that its sender sees the answer.
_DRAIN_BYTES = 64 * 2**20


class BodyLimit:
    """A limit of the body size: larger bodies are refused with 413 before they are parsed.

    Args:
        max_bytes: size of the largest body.
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


class CancelOnDisconnect:
    """Cancellation of a request's work when its client leaves, or when the service must stop.

    Starlette lets plain handlers run on in both cases; here the handler races a watch on the connection.
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
    """Counts and seconds of answers by endpoint, status and caller; ``/v1/x`` counts as ``/x``."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        scope.setdefault("state", {})["caller"] = ANONYMOUS
        status = 0
        left = ended = False

        async def received() -> Message:
            nonlocal left
            message = await receive()
            left = left or (message["type"] == "http.disconnect" and not ended)
            return message

        async def sent(message: Message) -> None:
            nonlocal status, ended
            if message["type"] == "http.response.start":
                status = message["status"]
                self._begun(scope, status)
            ended = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        try:
            await self.app(scope, received, sent)
        except Exception:  # counted and raised again: an outer layer of the framework makes the answer
            if not status:
                self._begun(scope, 500)
            self._ended(scope, "5xx", time.perf_counter() - began)
            raise
        outcome = "left" if left or not ended else f"{status // 100}xx"
        self._ended(scope, outcome, time.perf_counter() - began)

    def _begun(self, scope: Scope, status: int) -> None:
        self.metrics.requests.labels(_endpoint(scope), str(status)).inc()

    def _ended(self, scope: Scope, outcome: str, seconds: float) -> None:
        endpoint = _endpoint(scope)
        self.metrics.request_seconds.labels(endpoint, outcome).observe(seconds)
        self.metrics.caller_requests.labels(scope["state"]["caller"], endpoint, outcome).inc()


def _endpoint(scope: Scope) -> str:
    path: str = getattr(scope.get("route"), "path", "unmatched")
    return path.removeprefix("/v1")
