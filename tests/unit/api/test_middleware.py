"""Counts and seconds of answers, whatever becomes of them."""

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from laserve.api.middleware import CountRequests
from laserve.metrics import Metrics

START: Message = {"type": "http.response.start", "status": 200, "headers": []}
PART: Message = {"type": "http.response.body", "body": b"a", "more_body": True}
LAST: Message = {"type": "http.response.body", "body": b"b"}


class Script:
    """An application that sends these messages, and reads or raises in between."""

    def __init__(self, *steps: Any) -> None:
        self.steps = steps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for step in self.steps:
            if isinstance(step, BaseException):
                raise step
            if step == "read":
                await receive()
            else:
                await send(step)


async def outcomes(*steps: Any, incoming: Message | None = None) -> dict[str, float]:
    """Observations by status class of a request to an unknown path, after the application has ended."""
    metrics = Metrics()

    async def receive() -> Message:
        return incoming or {"type": "http.request", "body": b""}

    async def send(message: Message) -> None: ...

    app = CountRequests(Script(*steps), metrics=metrics)
    raised = next((step for step in steps if isinstance(step, BaseException)), None)
    request = app({"type": "http", "path": "/x"}, receive, send)
    if raised is None:
        await request
    else:
        with pytest.raises(type(raised)):
            await request
    families = {family.name: family for family in metrics.registry.collect()}
    counts: list[dict[str, float]] = []
    for family, suffix in (("laserve_request_seconds", "_count"), ("laserve_caller_requests", "_total")):
        counts.append(
            {
                sample.labels["status_class"]: sample.value
                for sample in families[family].samples
                if sample.name == family + suffix and sample.labels["endpoint"] == "unmatched"
            }
        )
    assert counts[0] == counts[1]
    return counts[0]


GONE: Message = {"type": "http.disconnect"}


@pytest.mark.parametrize(
    ("steps", "outcome"),
    [
        ((START, LAST), "2xx"),
        ((START, PART, PART, LAST), "2xx"),
        (("read", START, LAST), "2xx"),
        ((START | {"status": 307}, LAST), "3xx"),
        ((START | {"status": 429}, LAST), "4xx"),
        ((START | {"status": 503}, LAST), "5xx"),
        ((), "left"),
        ((START,), "left"),
        ((START, PART), "left"),
        ((ValueError(),), "5xx"),
        ((START, PART, ValueError()), "5xx"),
    ],
)
async def test_an_answer_is_counted_once_by_how_it_ended(steps: tuple[Any, ...], outcome: str) -> None:
    assert await outcomes(*steps) == {outcome: 1}


async def test_a_client_that_left_is_counted_so_although_its_answer_was_made() -> None:
    assert await outcomes("read", START, LAST, incoming=GONE) == {"left": 1}


async def test_a_connection_that_ends_behind_the_answer_is_no_client_that_left() -> None:
    assert await outcomes(START, LAST, "read", incoming=GONE) == {"2xx": 1}


async def test_a_request_that_the_end_of_the_process_cancels_is_not_counted() -> None:
    assert await outcomes(asyncio.CancelledError()) == {}


async def test_what_is_no_request_is_passed_on() -> None:
    metrics = Metrics()
    passed: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append(scope["type"])

    async def nothing(*_: Any) -> Any: ...

    await CountRequests(app, metrics=metrics)({"type": "lifespan"}, nothing, nothing)
    assert passed == ["lifespan"]
    assert b'endpoint="' not in metrics.render()
