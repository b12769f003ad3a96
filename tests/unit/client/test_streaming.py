"""Server-sent events, however they are framed and cut, and streams that break off."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from laserve_client import Candidate, ConnectionFailed, Decision, Unavailable, UnexpectedAnswer
from laserve_client._events import Event, EventDecoder
from unit.client.streams import Broken

ENDS = ["\n", "\r\n", "\r"]


def decode(*chunks: bytes) -> list[Event]:
    decoder = EventDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)]


@pytest.mark.parametrize("end", ENDS)
def test_events_are_the_same_wherever_the_bytes_are_cut(end):
    text = (
        ": a heartbeat\n\nevent: candidate\ndata: é\u2028x\n\n"
        "data: one\ndata:two\ndata\n\nid: 7\nretry: 5\n\nevent: decision\ndata: {}\n\n"
    )
    raw = text.replace("\n", end).encode()
    expected = [
        Event(name="candidate", data="é\u2028x"),
        Event(name="message", data="one\ntwo\n"),
        Event(name="decision", data="{}"),
    ]
    assert decode(raw) == expected
    assert decode(*(raw[cut : cut + 1] for cut in range(len(raw)))) == expected
    for cut in range(len(raw)):
        assert decode(raw[:cut], b"", raw[cut:]) == expected


def test_line_ends_of_different_kinds_may_be_mixed():
    assert decode(b"event: a\rdata: 1\r\ndata: 2\n\r") == [Event(name="a", data="1\n2")]


def test_an_event_is_there_as_soon_as_its_blank_line_is():
    decoder = EventDecoder()
    assert list(decoder.feed(b"data: 1\r\n\r")) == [Event(name="message", data="1")]
    assert list(decoder.feed(b"\ndata: 2\n")) == []
    assert list(decoder.feed(b"\n")) == [Event(name="message", data="2")]


def test_only_one_space_after_the_colon_is_left_out():
    assert decode(b"data:  1 \n\n") == [Event(name="message", data=" 1 ")]


@pytest.mark.parametrize(
    "raw", [b"", b"\n\n\n", b": only a comment\n\n", b"event: a\n\n", b"data: cut off\n"]
)
def test_comments_blank_lines_and_unfinished_events_are_no_events(raw):
    assert decode(raw) == []


def test_the_name_of_an_event_does_not_carry_over_to_the_next():
    assert decode(b"event: a\n\ndata: 1\n\n") == [Event(name="message", data="1")]


async def test_a_stream_yields_each_candidate_then_the_decision(calling, sse, candidate_body, decision_body):
    body = (
        b": ping\r\n\r\n"
        + sse("candidate", candidate_body)
        + b": ping\r\n\r\n"
        + sse("candidate", candidate_body | {"index": 0, "text": "line\u2028line"})
        + sse("of tomorrow", {"more": 1})
        + sse("decision", decision_body)
    )
    steps: list[Any] = []
    await calling(httpx.Response(200, content=body)).stream(steps, prompt="when")
    first, second, decision = steps
    assert first == Candidate(
        index=1, text="in 1907", finish_reason="stop", tokens=3, logprob=-1.5, score=None
    )
    assert (second.index, second.text) == (0, "line\u2028line")
    assert isinstance(decision, Decision)
    assert decision.decision_id == "d1"


async def test_an_error_after_the_first_candidate_is_raised_after_it(calling, sse, candidate_body):
    error = {
        "type": "unavailable_error",
        "code": "engine_error",
        "message": "the engine failed",
        "param": None,
    }
    body = sse("candidate", candidate_body) + sse("error", {"error": error})
    caller = calling(httpx.Response(200, content=body))
    steps: list[Any] = []
    with pytest.raises(Unavailable, match="the engine failed"):
        await caller.stream(steps, prompt="when")
    # Both came in one chunk; the service had begun, so the request is not sent again.
    assert len(caller.requests) == 1


async def test_a_stream_that_breaks_off_fails_and_is_not_asked_for_again(calling, waits, sse, candidate_body):
    body = Broken(sse("candidate", candidate_body))
    caller = calling(httpx.Response(200, stream=body))
    with pytest.raises(ConnectionFailed, match="broke off"):
        await caller.stream([], prompt="when")
    assert (len(caller.requests), waits, body.closed) == (1, [], True)


@pytest.mark.parametrize("body", [b"", b"<html>", b": ping\n\n"])
async def test_a_stream_that_ends_without_a_decision_fails(calling, body):
    with pytest.raises(ConnectionFailed, match="without a decision"):
        await calling(httpx.Response(200, content=body)).stream([], prompt="when")


async def test_once_the_decision_is_there_a_broken_connection_loses_nothing(calling, sse, decision_body):
    steps: list[Any] = []
    body = Broken(sse("decision", decision_body))
    await calling(httpx.Response(200, stream=body)).stream(steps, prompt="when")
    assert [step.decision_id for step in steps] == ["d1"]


@pytest.mark.parametrize("name", ["candidate", "decision", "error"])
@pytest.mark.parametrize("data", [{}, [], None, "text", {"error": "text"}, {"error": {}}])
async def test_an_event_of_something_else_is_told_from_one_of_laserve(calling, sse, name, data):
    with pytest.raises(UnexpectedAnswer, match="not an event of laserve"):
        await calling(httpx.Response(200, content=sse(name, data))).stream([], prompt="when")


async def test_a_stream_that_is_left_early_is_closed(calling, sse, candidate_body):
    body = Broken(sse("candidate", candidate_body))
    steps = calling(httpx.Response(200, stream=body)).client.stream(prompt="when")
    if isinstance(steps, AsyncIterator):
        assert (await anext(steps)).index == 1
        assert not body.closed
        await steps.aclose()
    else:
        assert next(steps).index == 1
        assert not body.closed
        steps.close()
    assert body.closed
