"""Decoder of lines of JSON, from chunks of bytes to objects, without I/O."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from laserve_client._errors import ConnectionFailed, UnexpectedAnswer, from_detail


class LineReader:
    """Reader of the objects of an export, however its bytes are cut into chunks.

    Lines end only in a line feed, unlike the lines of ``str.splitlines``: JSON may contain other line
    separators unescaped.
    """

    def __init__(self) -> None:
        #: Pieces of the incomplete line.
        self._rest: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[dict[str, Any]]:
        """The objects whose lines a chunk completes.

        Raises:
            APIError: the export broke off with an error of the service.
            UnexpectedAnswer: a line is not one of laserve.
        """
        first, *more = chunk.split(b"\n")
        self._rest.append(first)
        for piece in more:
            line = b"".join(self._rest)
            self._rest = [piece]
            yield _read(line)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Context manager around the feeding of all chunks.

        Raises:
            ConnectionFailed: the export broke off.
        """
        try:
            yield
        except httpx.RequestError as error:
            raise ConnectionFailed(f"GET /export: broke off: {error!r}") from error
        if any(self._rest):
            raise ConnectionFailed("GET /export: ended within a line")


def _read(line: bytes) -> dict[str, Any]:
    try:
        row: dict[str, Any] = json.loads(line)
        if "candidates" in row:
            return row
        error = from_detail(row["error"])
    except (ValueError, TypeError, KeyError, AttributeError) as wrong:
        raise UnexpectedAnswer(f"GET /export: not a line of laserve: {line[:200]!r}") from wrong
    raise error
