"""Both clients behind one interface, with a function as a fake of the service."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from laserve_client import AsyncClient, Candidate, Client, Decision, _async_client, _client

Handler = Callable[[httpx.Request], httpx.Response]


class Caller:
    """Caller of a client's methods, which awaits coroutines."""

    def __init__(self, kind: str, handler: Handler, **options: Any) -> None:
        #: Requests so far.
        self.requests: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            return handler(request)

        client = Client if kind == "sync" else AsyncClient
        self.client: Any = client(transport=httpx.MockTransport(answer), **options)

    @property
    def sent(self) -> Any:
        """The body of the last request, as JSON."""
        return json.loads(self.requests[-1].content)

    async def __call__(self, method: str, *args: Any, **kwargs: Any) -> Any:
        result = getattr(self.client, method)(*args, **kwargs)
        return await result if isinstance(result, Awaitable) else result

    async def stream(self, into: list[Candidate | Decision], **request: Any) -> None:
        steps = self.client.stream(**request)
        if isinstance(steps, AsyncIterator):
            async for step in steps:
                into.append(step)
        else:
            into.extend(steps)

    async def close(self) -> None:
        if isinstance(self.client, Client):
            self.client.close()
        else:
            await self.client.aclose()


@pytest.fixture(params=["sync", "async"])
async def calling(request: pytest.FixtureRequest) -> AsyncIterator[Callable[..., Caller]]:
    """Factory of callers of either client; each test runs with both."""
    made: list[Caller] = []

    def make(handler: Handler | httpx.Response, **options: Any) -> Caller:
        function = handler if callable(handler) else lambda _request: handler
        made.append(Caller(request.param, function, **options))
        return made[-1]

    yield make
    for caller in made:
        await caller.close()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record of the seconds that clients wait; the waits take no time."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(_client, "time", SimpleNamespace(sleep=waited.append))
    monkeypatch.setattr(_async_client, "asyncio", SimpleNamespace(sleep=sleep))
    return waited


@pytest.fixture
def candidate_body() -> dict[str, Any]:
    return {"index": 1, "text": "in 1907", "finish_reason": "stop", "tokens": 3, "logprob": -1.5}


@pytest.fixture
def decision_body() -> dict[str, Any]:
    shared = {"finish_reason": "stop", "tokens": 2}
    return {
        "decision_id": "d1",
        "text": "1907",
        "index": 1,
        "arm": "loglik",
        "scored_by": "consensus",
        "policy": "linucb",
        "propensity": 0.25,
        "score": 0.75,
        "candidates": [
            {"text": "1911", "score": None, "logprob": -2.5} | shared,
            {"text": "1907", "score": 0.75, "logprob": -1.25} | shared,
        ],
        "why": [{"arm": "loglik", "mean": 0.5, "width": 1.5, "probability": 0.25}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14},
        "timings": {"total": 0.125},
        "truncated": False,
        "degraded": ["arm_failed: loglik: no"],
    }


@pytest.fixture
def stored_body(decision_body: dict[str, Any]) -> dict[str, Any]:
    return decision_body | {
        "created_at": 1.5,
        "log_position": 4,
        "task": None,
        "sampling": {"n": 2},
        "request": {"prompt": "when"},
        "metadata": {"user": 7},
        "choices": {"consensus": 1},
        "scores": {"consensus": [None, 0.75]},
        "shadowed": True,
        "preferred": "loglik",
        "feedback": [{"position": 5, "learned": True, "reward": 1.0, "created_at": 2.5, "body": None}],
    }


@pytest.fixture
def sse() -> Callable[[str, Any], bytes]:
    """Bytes of one event, framed as by the service."""
    return lambda name, data: (
        f"event: {name}\r\ndata: {json.dumps(data, ensure_ascii=False)}\r\n\r\n".encode()
    )
