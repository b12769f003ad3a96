"""Calls to the service as values: the request, the parser of the answer, the rule for repeats."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import quote, urlencode

import httpx

from laserve_client._answers import (
    Arm,
    BatchOutcome,
    Decision,
    FeedbackOutcome,
    Health,
    PolicyState,
    Readiness,
    StoredDecision,
)
from laserve_client._errors import UnexpectedAnswer, from_response
from laserve_client._requests import ArmSettings, Feedback, FeedbackLine, GenerateRequest

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

#: Seconds for scoring and storing after ``timeout_s``, which bounds the sampling alone.
_GRACE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Call(Generic[T]):
    """One exchange with the service."""

    method: str
    path: str
    #: Parser of the body of an accepted answer.
    parse: Callable[[bytes], T]
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Accepted statuses besides 2xx.
    accepts: tuple[int, ...] = ()
    #: Whether the call may be sent again when it is unknown whether the service has served it.
    repeatable: bool = False
    #: Whether the answer is a stream, of events or of lines.
    streams: bool = False
    #: Least time to wait for the answer, in seconds.
    wait_s: float = 0.0

    def request(self, http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        read = http.timeout.read
        timeout = httpx.Timeout(http.timeout)
        timeout.read = None if read is None else max(read, self.wait_s)
        return http.build_request(
            self.method, self.path, content=self.content, headers=self.headers, timeout=timeout
        )

    def accepted(self, response: httpx.Response) -> bool:
        return response.is_success or response.status_code in self.accepts

    def check(self, response: httpx.Response) -> None:
        """Raise the error of a response whose body was read, unless the response is accepted."""
        if not self.accepted(response):
            raise from_response(response)

    def answer(self, response: httpx.Response) -> T:
        """The answer in an accepted response whose body was read.

        Raises:
            UnexpectedAnswer: the body is not an answer of laserve.
        """
        try:
            return self.parse(response.content)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UnexpectedAnswer(
                f"{self.method} {self.path}: not an answer of laserve: {response.text[:200]!r}"
            ) from error


class Reader(Protocol[T_co]):
    """Reader of a streamed answer."""

    def feed(self, chunk: bytes) -> Iterator[T_co]:
        """The items that a chunk completes."""

    def reading(self) -> AbstractContextManager[None]:
        """Context manager around the feeding of all chunks."""


def generate(request: GenerateRequest, *, stream: bool = False) -> Call[Decision]:
    body = _given(request, GenerateRequest.__optional_keys__)
    return Call(
        method="POST",
        path="/generate",
        **_json(body | ({"stream": True} if stream else {})),
        parse=lambda raw: Decision.read(json.loads(raw)),
        streams=stream,
        wait_s=body["timeout_s"] + _GRACE_S if "timeout_s" in body else 0.0,
    )


def feedback(decision_id: str, feedback: Feedback, idempotency_key: str | None) -> Call[FeedbackOutcome]:
    parts = _json({"decision_id": decision_id} | _given(feedback, Feedback.__optional_keys__))
    if idempotency_key is not None:
        parts["headers"]["Idempotency-Key"] = idempotency_key
    return Call(
        method="POST",
        path="/feedback",
        **parts,
        parse=lambda raw: FeedbackOutcome.read(json.loads(raw)),
        repeatable=True,
    )


def feedback_batch(lines: Iterable[FeedbackLine]) -> Call[list[BatchOutcome]]:
    encoded = [_encode({name: value for name, value in line.items() if value is not None}) for line in lines]

    def parse(raw: bytes) -> list[BatchOutcome]:
        answers = [BatchOutcome.read(json.loads(line)) for line in raw.split(b"\n") if line]
        if len(answers) != len(encoded):
            raise ValueError(f"{len(answers)} answers to {len(encoded)} lines")
        return answers

    return Call(
        method="POST",
        path="/feedback/batch",
        content=b"".join(line + b"\n" for line in encoded),
        headers={"Content-Type": "application/x-ndjson"},
        parse=parse,
        repeatable=True,
    )


def decision(decision_id: str) -> Call[StoredDecision]:
    return _read(_decision_path(decision_id), StoredDecision.read)


def delete(decision_id: str) -> Call[None]:
    return Call(method="DELETE", path=_decision_path(decision_id), parse=lambda raw: None)


def export(*, since: float | None, task: str | None, with_feedback: bool) -> Call[None]:
    given = {"since": since, "task": task, "with_feedback": "true" if with_feedback else None}
    query = urlencode({name: value for name, value in given.items() if value is not None})
    return Call(
        method="GET",
        path=f"/export?{query}" if query else "/export",
        parse=lambda raw: None,
        repeatable=True,
        streams=True,
    )


def arms() -> Call[list[Arm]]:
    return _read("/arms", lambda body: [Arm.read(one) for one in body["arms"]])


def arm(name: str) -> Call[Arm]:
    return _read(_arm_path(name), Arm.read)


def add_arm(name: str, kind: str, settings: ArmSettings) -> Call[Arm]:
    body = {"name": name, "kind": kind} | _given(settings, ArmSettings.__optional_keys__)
    return Call(method="POST", path="/arms", **_json(body), parse=lambda raw: Arm.read(json.loads(raw)))


def set_arm_state(name: str, state: str) -> Call[Arm]:
    return Call(
        method="PATCH",
        path=_arm_path(name),
        **_json({"state": state}),
        parse=lambda raw: Arm.read(json.loads(raw)),
        repeatable=True,
    )


def policy() -> Call[PolicyState]:
    return _read("/policy", PolicyState.read)


def ready() -> Call[Readiness]:
    return _read("/readyz", Readiness.read, accepts=(503,))


def health() -> Call[Health]:
    return _read("/healthz", Health.read)


def _read(path: str, parse: Callable[[Any], T], *, accepts: tuple[int, ...] = ()) -> Call[T]:
    return Call(
        method="GET",
        path=path,
        parse=lambda raw: parse(json.loads(raw)),
        accepts=accepts,
        repeatable=True,
    )


def _decision_path(decision_id: str) -> str:
    return f"/decisions/{quote(decision_id, safe='')}"


def _arm_path(name: str) -> str:
    return f"/arms/{quote(name, safe='')}"


def _given(values: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """The arguments that are not None; an unknown keyword raises TypeError, as in a function call."""
    for name in values:
        if name not in known:
            raise TypeError(f"unexpected keyword argument {name!r}")
    return {name: value for name, value in values.items() if value is not None}


def _json(body: Mapping[str, Any]) -> dict[str, Any]:
    return {"content": _encode(body), "headers": {"Content-Type": "application/json"}}


def _encode(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
