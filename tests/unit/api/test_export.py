"""How an export ends that does not come to its end."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from laserve.admission import Underway
from laserve.api.export import _resume
from laserve.errors import StoreError


async def lines(*rest: bytes | Exception | asyncio.Event) -> AsyncGenerator[bytes]:
    for line in rest:
        if isinstance(line, Exception):
            raise line
        if isinstance(line, asyncio.Event):
            await line.wait()
        else:
            yield line


async def read(stream: AsyncIterator[bytes]) -> list[bytes]:
    return [line async for line in stream]


async def test_all_lines_come_in_order() -> None:
    assert await read(_resume(b"1\n", lines(b"2\n", b"3\n"), Underway())) == [b"1\n", b"2\n", b"3\n"]
    assert b"".join(await read(_resume(b"", lines(), Underway()))) == b""


async def test_where_the_database_refuses_the_last_line_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        first, last = await read(_resume(b"1\n", lines(StoreError("locked")), Underway()))
    assert (first, last[-1:]) == (b"1\n", b"\n")
    assert json.loads(last) == {
        "error": {"type": "unavailable_error", "code": "store_error", "message": "locked", "param": None}
    }
    assert "locked" in caplog.text


async def test_where_the_service_must_stop_the_last_line_says_so() -> None:
    underway = Underway()
    stream = _resume(b"1\n", lines(b"2\n", asyncio.Event(), b"3\n"), underway)
    assert [await anext(stream), await anext(stream)] == [b"1\n", b"2\n"]
    underway.abort()
    (last,) = await read(stream)
    assert json.loads(last)["error"]["message"] == "the service is stopping"
