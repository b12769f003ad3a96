"""Decoder of server-sent events, from chunks of bytes to the steps of a streamed answer, without I/O."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from laserve_client._answers import Candidate, Decision
from laserve_client._errors import ConnectionFailed, UnexpectedAnswer, from_detail

_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, kw_only=True)
class Event:
    """One server-sent event."""

    name: str
    data: str


class EventDecoder:
    """Decoder of the bytes of a ``text/event-stream``, however they are cut into chunks.

    Lines end only in CR, LF or CRLF, unlike the lines of ``str.splitlines``: JSON may contain other line
    separators unescaped.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._after_cr = False
        self._name = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that a chunk completes."""
        if not chunk:
            return
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        *lines, self._rest = _LINE_END.split(self._rest + chunk)
        for line in lines:
            if event := self._line(line.decode(errors="replace")):
                yield event

    def _line(self, line: str) -> Event | None:
        if not line:
            event = Event(name=self._name or "message", data="\n".join(self._data)) if self._data else None
            self._name, self._data = "", []
            return event
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._name = value
        elif name == "data":
            self._data.append(value)
        return None  # a comment, or a field that no answer needs


class StepReader:
    """Reader of the steps of one streamed answer: each candidate, then the decision.

    Events with other names are ignored: a newer service may send them.
    """

    def __init__(self) -> None:
        self._events = EventDecoder()
        self._done = False

    def feed(self, chunk: bytes) -> Iterator[Candidate | Decision]:
        """The steps that a chunk completes.

        Raises:
            APIError: the answer failed after its first candidate.
            UnexpectedAnswer: an event is not one of laserve.
        """
        for event in self._events.feed(chunk):
            try:
                step = self._step(event)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise UnexpectedAnswer(f"POST /generate: not an event of laserve: {event!r}") from error
            if step is not None:
                yield step

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Context manager around the feeding of all chunks; the answer is complete with the decision.

        Raises:
            ConnectionFailed: the stream broke off or ended without a decision.
        """
        try:
            yield
        except httpx.RequestError as error:
            if not self._done:
                raise ConnectionFailed(f"POST /generate: the stream broke off: {error!r}") from error
        else:
            if not self._done:
                raise ConnectionFailed("POST /generate: the stream ended without a decision")

    def _step(self, event: Event) -> Candidate | Decision | None:
        match event.name:
            case "candidate":
                return Candidate.read(json.loads(event.data))
            case "decision":
                decision = Decision.read(json.loads(event.data))
                self._done = True
                return decision
            case "error":
                raise from_detail(json.loads(event.data)["error"])
        return None
