"""Repeats of calls: of those certainly not served, and of those that may harmlessly be served twice."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from laserve_client import APIError, ConnectionFailed, Overloaded, Unavailable

OUTCOME = {"status": "recorded", "learned": True, "reward": 1.0}
BATCH = b'{"line":1,"status":"recorded","learned":true,"reward":1.0}\n'
#: Every method, with arguments and whether it may be served twice.
METHODS: list[tuple[str, dict[str, Any], bool]] = [
    ("generate", {"prompt": "when"}, False),
    ("feedback", {"decision_id": "d1", "reward": 1}, True),
    ("feedback_batch", {"lines": [{"decision_id": "d1", "reward": 1}]}, True),
    ("decision", {"decision_id": "d1"}, True),
    ("delete", {"decision_id": "d1"}, False),
    ("arms", {}, True),
    ("policy", {}, True),
    ("ready", {}, True),
    ("health", {}, True),
]
BROKEN = [
    httpx.ConnectError,
    httpx.ReadError,
    httpx.RemoteProtocolError,
    httpx.ReadTimeout,
    httpx.ConnectTimeout,
]


def script(*steps: httpx.Response | type[httpx.TransportError]) -> Callable[[httpx.Request], httpx.Response]:
    """Fake of a service that answers, or breaks off, in this order."""
    rest: Iterator[httpx.Response | type[httpx.TransportError]] = iter(steps)

    def answer(_request: httpx.Request) -> httpx.Response:
        step = next(rest)
        if isinstance(step, httpx.Response):
            return step
        raise step("broken")

    return answer


def busy(status: int, after: str | None = "2") -> httpx.Response:
    return httpx.Response(status, json={}, headers={} if after is None else {"Retry-After": after})


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_service_is_asked_again_after_the_time_it_tells(calling, waits, decision_body, status):
    caller = calling(script(busy(status, "2"), busy(status, "7"), httpx.Response(200, json=decision_body)))
    assert (await caller("generate", prompt="when")).decision_id == "d1"
    assert waits == [2, 7]
    assert len({request.content for request in caller.requests}) == 1


@pytest.mark.parametrize(("status", "expected"), [(429, Overloaded), (503, Unavailable)])
@pytest.mark.parametrize(("method", "arguments"), [(m, a) for m, a, _ in METHODS if m != "ready"])
async def test_every_call_gives_up_on_a_busy_service_after_two_repeats(
    calling, waits, status, expected, method, arguments
):
    caller = calling(script(*(busy(status) for _ in range(3))))
    with pytest.raises(expected):
        await caller(method, **arguments)
    assert (len(caller.requests), waits) == (3, [2, 2])


@pytest.mark.parametrize("retries", [0, 1, 5])
async def test_the_most_repeats_can_be_chosen(calling, waits, retries):
    caller = calling(script(*(busy(429) for _ in range(retries + 1))), max_retries=retries)
    with pytest.raises(Overloaded):
        await caller("generate", prompt="when")
    assert len(caller.requests) == retries + 1


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("after", [None, "soon", "61", "99999999"])
async def test_without_a_time_or_with_one_of_more_than_a_minute_it_is_left_to_the_caller(
    calling, waits, status, after
):
    caller = calling(script(busy(status, after)))
    with pytest.raises(APIError):
        await caller("feedback", "d1", reward=1)
    assert waits == []


@pytest.mark.parametrize("status", [401, 404, 409, 410, 413, 422, 500, 502, 504])
async def test_other_refusals_are_final(calling, waits, status):
    caller = calling(script(busy(status)))
    with pytest.raises(APIError):
        await caller("feedback", "d1", reward=1)
    assert (len(caller.requests), waits) == (1, [])


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize(("method", "arguments", "repeatable"), METHODS)
async def test_after_a_failed_connection_only_what_may_be_served_twice_is_sent_again(
    calling, waits, broken, method, arguments, repeatable
):
    caller = calling(script(*[broken] * 3))
    with pytest.raises(ConnectionFailed, match="broken"):
        await caller(method, **arguments)
    assert (len(caller.requests), waits) == ((3, [0.25, 0.5]) if repeatable else (1, []))


@pytest.mark.parametrize(
    ("method", "arguments", "answer"),
    [
        ("feedback", {"decision_id": "d1", "reward": 1}, {"json": OUTCOME}),
        (
            "feedback_batch",
            {"lines": [{"decision_id": "d1", "reward": 1}]},
            {"content": BATCH},
        ),
    ],
)
async def test_feedback_gets_through_a_connection_that_fails_once(calling, waits, method, arguments, answer):
    caller = calling(script(httpx.ReadError, httpx.Response(200, **answer)))
    await caller(method, **arguments)
    first, second = caller.requests
    assert first.content == second.content


async def test_a_stream_is_asked_for_again_only_when_it_was_refused_as_busy(
    calling, waits, decision_body, sse
):
    caller = calling(script(busy(429), httpx.Response(200, content=sse("decision", decision_body))))
    steps: list[Any] = []
    await caller.stream(steps, prompt="when")
    assert ([step.decision_id for step in steps], waits) == (["d1"], [2])
    caller = calling(script(httpx.ConnectError))
    with pytest.raises(ConnectionFailed):
        await caller.stream(steps, prompt="when")
    assert len(caller.requests) == 1


@pytest.mark.parametrize("mistake", [httpx.UnsupportedProtocol, httpx.LocalProtocolError])
async def test_what_the_client_itself_got_wrong_is_not_tried_again(calling, waits, mistake):
    caller = calling(script(mistake))
    with pytest.raises(ConnectionFailed):
        await caller("arms")
    assert waits == []
