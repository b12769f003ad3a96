"""Clients that put load on the service and record its acknowledgements."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from laserve.errors import LaserveError
from laserve_client import (
    APIError,
    AsyncClient,
    ConnectionFailed,
    GenerateRequest,
    LaserveClientError,
    NotFound,
    Overloaded,
    TimedOut,
    Unavailable,
)

T = TypeVar("T")

_REQUEST: GenerateRequest = {
    "question": "When was the bridge of Orrin opened?",
    "documents": [{"title": "Orrin", "text": "The bridge of Orrin was opened in 1907 by the mayor."}],
    "n": 4,
    "max_tokens": 32,
}
#: Errors that a client may get during a fault; it repeats its request later.
_LATER = (ConnectionFailed, Overloaded, Unavailable, TimedOut)
#: Seconds that a client waits after one of these errors; shorter than `Retry-After`.
_PAUSE_S = 0.1
#: While an arm is pinned, one of this number of clients requests it.
_PIN_EVERY = 4


@dataclass(kw_only=True)
class Ledger:
    """Record of the acknowledgements."""

    #: Decisions that were answered.
    decisions: set[str] = field(default_factory=set)
    #: Decisions with acknowledged feedback; each decision gets one feedback.
    feedback: set[str] = field(default_factory=set)
    #: Answers with something in `degraded`.
    degraded: int = 0
    #: Statuses other than 200.
    refused: Counter[int] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class Damage:
    """Acknowledged decisions and feedback that the service lost or doubled."""

    lost_decisions: int
    lost_feedback: int
    doubled: int


def compare(ledger: Ledger, stored: Mapping[str, int]) -> Damage:
    """Damage from the clients' ledger and the service's store.

    Args:
        stored: decision -> number of its feedbacks, for each decision that the service has.
    """
    return Damage(
        lost_decisions=len(ledger.decisions - stored.keys()),
        lost_feedback=sum(not stored.get(decision_id) for decision_id in ledger.feedback),
        doubled=sum(rows > 1 for rows in stored.values()),
    )


class Clients:
    """Clients of one service, which may restart at another address.

    Args:
        connected: function that returns the connections to the present address; they repeat no request, since
            each attempt counts.
        count: number of clients.
    """

    def __init__(self, *, connected: Callable[[], AsyncClient], count: int) -> None:
        self.ledger = Ledger()
        #: An arm that some requests name.
        self.pinned: str | None = None
        self._connected = connected
        self.count = count
        self._done = asyncio.Event()
        self._working: list[asyncio.Task[None]] = []
        self._underway: set[asyncio.Future[Any]] = set()

    @property
    def in_flight(self) -> int:
        """Requests without an answer yet."""
        return len(self._underway)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """While the block runs, each client sends requests and feedback; at the end each finishes its last.

        Raises:
            LaserveError: an answer that no client should get.
        """
        self._working = [asyncio.create_task(self._work(number)) for number in range(self.count)]
        try:
            yield
            self._done.set()
            await asyncio.gather(*self._working)
        finally:
            for client in self._working:
                client.cancel()
            await asyncio.gather(*self._working, return_exceptions=True)

    async def until(self, condition: Callable[[], Awaitable[bool]], what: str, timeout_s: float) -> None:
        """Wait until the condition holds.

        Raises:
            LaserveError: the condition does not hold within `timeout_s`, or a client has failed.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not await condition():
                    await asyncio.sleep(0.02)
                    for client in self._working:
                        if client.done():
                            client.result()
        except TimeoutError:
            answers = f"the clients were answered {dict(self.ledger.refused)}"
            raise LaserveError(f"{what}: not within {timeout_s:g} s; {answers}") from None

    def leave(self) -> None:
        """Drop the connections of half of the pending requests."""
        for request in list(self._underway)[::2]:
            request.cancel()

    async def _work(self, number: int) -> None:
        while not self._done.is_set():
            arm = self.pinned if number % _PIN_EVERY == 0 else None
            request: GenerateRequest = {**_REQUEST, "arm": arm}
            decision = await self._attempt(self._connected().generate(**request))
            if decision is None:
                continue
            self.ledger.degraded += bool(decision.degraded)
            self.ledger.decisions.add(decision.decision_id)
            await self._rate(decision.decision_id, len(decision.text or "") % 11 / 10)

    async def _rate(self, decision_id: str, reward: float) -> None:
        """Send feedback until it is acknowledged, or the decision is missing, which `compare` counts."""
        acknowledged = None
        while acknowledged is None:
            sent = self._connected().feedback(decision_id, idempotency_key=decision_id, reward=reward)
            try:
                acknowledged = await self._attempt(sent)
            except LaserveError as error:
                if isinstance(error.__cause__, NotFound):
                    return
                raise
        self.ledger.feedback.add(decision_id)

    async def _attempt(self, call: Coroutine[Any, Any, T]) -> T | None:
        """The answer; None if there was none, or the client must try later.

        Raises:
            LaserveError: an answer that no client should get; its cause is the error of the client.
        """
        request = asyncio.ensure_future(call)
        self._underway.add(request)
        try:
            await asyncio.wait({request})
        finally:
            self._underway.discard(request)
            request.cancel()
        if request.cancelled():
            return None
        try:
            return request.result()
        except LaserveClientError as error:
            if isinstance(error, APIError):
                self.ledger.refused[error.status] += 1
            if not isinstance(error, _LATER):
                raise LaserveError(f"a client was answered: {error}") from error
        await asyncio.sleep(_PAUSE_S)
        return None
