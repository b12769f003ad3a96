"""Clients that put load on the service and record its acknowledgements."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from laserve.errors import LaserveError

_BODY = {
    "question": "When was the bridge of Orrin opened?",
    "documents": [{"title": "Orrin", "text": "The bridge of Orrin was opened in 1907 by the mayor."}],
    "n": 4,
    "max_tokens": 32,
}
_TIMEOUT_S = 150.0
#: Statuses that the service may answer during a fault: the client repeats its request later.
_LATER = (429, 503, 504)
#: Status for an answered decision that is missing; `compare` counts it at the end.
_LOST = 404
#: Seconds that a client waits after one of these statuses or no answer; shorter than `Retry-After`.
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
        url: function that returns the present address.
        headers: headers of every request.
        count: number of clients.
    """

    def __init__(self, *, url: Callable[[], str], headers: Mapping[str, str], count: int) -> None:
        self.ledger = Ledger()
        #: An arm that some requests name.
        self.pinned: str | None = None
        self._url = url
        self.count = count
        self._done = asyncio.Event()
        self._working: list[asyncio.Task[None]] = []
        self._underway: set[asyncio.Future[httpx.Response]] = set()
        limits = httpx.Limits(max_connections=count)
        self._client = httpx.AsyncClient(headers=dict(headers), timeout=_TIMEOUT_S, limits=limits)

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
        async with self._client:
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
            pin = {"arm": self.pinned} if self.pinned and number % _PIN_EVERY == 0 else {}
            answer = await self._post("/generate", _BODY | pin)
            if answer is None:
                continue
            decision_id = answer["decision_id"]
            self.ledger.degraded += bool(answer["degraded"])
            self.ledger.decisions.add(decision_id)
            body = {"decision_id": decision_id, "reward": len(answer["text"]) % 11 / 10}
            acknowledged = None
            while acknowledged is None:  # repeated until there is an answer
                acknowledged = await self._post("/feedback", body, {"Idempotency-Key": decision_id})
            if "status" in acknowledged:
                self.ledger.feedback.add(decision_id)

    async def _post(
        self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> dict[str, Any] | None:
        """The answer, also one with status 404; None if there was none, or the client must try later."""
        post = self._client.post(self._url() + path, json=dict(body), headers=dict(headers or {}))
        request = asyncio.ensure_future(post)
        self._underway.add(request)
        try:
            await asyncio.wait({request})
        finally:
            self._underway.discard(request)
            request.cancel()
        if request.cancelled():
            return None
        if isinstance(request.exception(), httpx.TransportError):
            await asyncio.sleep(_PAUSE_S)
            return None
        answer = request.result()
        if answer.status_code != 200:
            self.ledger.refused[answer.status_code] += 1
        if answer.status_code in (200, _LOST):
            content: dict[str, Any] = answer.json()
            return content
        if answer.status_code not in _LATER:
            raise LaserveError(f"{path} was answered {answer.status_code}: {answer.text}")
        await asyncio.sleep(_PAUSE_S)
        return None
