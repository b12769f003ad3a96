"""Lines of an export, however they are cut, and exports that break off."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from laserve_client import ConnectionFailed, InvalidRequest, Unavailable, UnexpectedAnswer
from laserve_client._lines import LineReader
from unit.client.streams import Broken

ROWS: list[dict[str, Any]] = [
    {"id": "d1", "candidates": [{"text": "line\u2028line é"}], "rewards": [1.0]},
    {"id": "d2", "candidates": [], "later": {"more": 1}},
]
ERROR = {"type": "unavailable_error", "code": "store_error", "message": "locked", "param": None}


def lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


async def read(caller: Any, into: list[Any], **wanted: Any) -> None:
    rows = caller.client.export(**wanted)
    if isinstance(rows, AsyncIterator):
        async for row in rows:
            into.append(row)
    else:
        into.extend(rows)


def test_lines_are_the_same_wherever_the_bytes_are_cut():
    raw = lines(*ROWS)
    for cut in range(len(raw)):
        reader = LineReader()
        with reader.reading():
            assert [*reader.feed(raw[:cut]), *reader.feed(b""), *reader.feed(raw[cut:])] == ROWS
    reader = LineReader()
    assert [row for cut in range(len(raw)) for row in reader.feed(raw[cut : cut + 1])] == ROWS


@pytest.mark.parametrize(
    ("wanted", "query"),
    [
        ({}, {}),
        ({"since": 1.5, "task": "a b&c", "with_feedback": True}, None),
        ({"since": 0, "with_feedback": False}, {"since": "0"}),
    ],
)
async def test_what_is_wanted_is_asked_for(calling, wanted, query):
    caller = calling(httpx.Response(200, content=lines(*ROWS)))
    rows: list[Any] = []
    await read(caller, rows, **wanted)
    assert rows == ROWS
    (request,) = caller.requests
    assert (request.method, request.url.path) == ("GET", "/export")
    expected = {"since": "1.5", "task": "a b&c", "with_feedback": "true"} if query is None else query
    assert dict(request.url.params) == expected


async def test_an_empty_export_has_no_lines(calling):
    rows: list[Any] = []
    await read(calling(httpx.Response(200, content=b"")), rows)
    assert rows == []


async def test_a_refusal_is_raised_before_the_first_line(calling):
    error = ERROR | {"type": "invalid_request_error", "param": "since"}
    with pytest.raises(InvalidRequest) as caught:
        await read(calling(httpx.Response(422, json={"error": error})), [], since=-1)
    assert caught.value.param == "since"


async def test_an_export_that_breaks_off_says_why_after_its_lines(calling):
    rows: list[Any] = []
    caller = calling(httpx.Response(200, stream=Broken(lines(ROWS[0]), lines({"error": ERROR}))))
    with pytest.raises(Unavailable, match="locked"):
        await read(caller, rows)
    assert len(caller.requests) == 1


@pytest.mark.parametrize("more", [b"", b'{"id": "d2", "cand'])
async def test_a_connection_that_breaks_within_an_export_fails_and_is_not_asked_again(calling, more):
    body = Broken(lines(ROWS[0]) + more)
    caller = calling(httpx.Response(200, stream=body))
    with pytest.raises(ConnectionFailed, match="broke off"):
        await read(caller, [])
    assert (len(caller.requests), body.closed) == (1, True)


async def test_an_export_that_ends_within_a_line_fails(calling):
    with pytest.raises(ConnectionFailed, match="within a line"):
        await read(calling(httpx.Response(200, content=lines(*ROWS)[:-1])), [])


@pytest.mark.parametrize("raw", [b"<html>\n", b"\n", b"[]\n", b"1\n", b'{"error": "text"}\n', b'{"id": 1}\n'])
async def test_a_line_of_something_else_is_told_from_one_of_laserve(calling, raw):
    with pytest.raises(UnexpectedAnswer, match="not a line of laserve"):
        await read(calling(httpx.Response(200, content=raw)), [])


async def test_an_export_that_is_left_early_is_closed(calling):
    body = Broken(lines(ROWS[0]))
    rows = calling(httpx.Response(200, stream=body)).client.export()
    if isinstance(rows, AsyncIterator):
        assert (await anext(rows))["id"] == "d1"
        await rows.aclose()
    else:
        assert next(rows)["id"] == "d1"
        rows.close()
    assert body.closed


async def test_an_export_is_asked_for_again_while_it_has_not_begun(calling, waits):
    answers = iter([httpx.Response(503, json={"error": ERROR}, headers={"Retry-After": "1"}), None])

    def answer(_request: httpx.Request) -> httpx.Response:
        step = next(answers, httpx.Response(200, content=lines(*ROWS)))
        if step is None:
            raise httpx.ConnectError("broken")
        return step

    rows: list[Any] = []
    await read(calling(answer), rows)
    assert (rows, waits) == (ROWS, [1, 0.5])
