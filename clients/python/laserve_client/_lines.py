"""Lines of JSON, from chunks of bytes to objects. No input or output here."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from laserve_client._errors import ConnectionFailed, UnexpectedAnswer, from_detail


class LineReader:
    """The objects of an export, however its bytes are cut into chunks.

    Lines end in a line feed and in nothing else, unlike those of ``str.splitlines``: JSON may hold other line
    separators as they are.
    """

    def __init__(self) -> None:
        #: Pieces of the line that has not ended.
        self._rest: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[dict[str, Any]]:
        """The lines that a chunk completes.

        Raises:
            APIError: the export broke off, and the service said why.
            UnexpectedAnswer: a line is not what laserve sends.
        """
        first, *more = chunk.split(b"\n")
        self._rest.append(first)
        for piece in more:
            line = b"".join(self._rest)
            self._rest = [piece]
            yield _read(line)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Around the feeding of all chunks.

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
