"""The client for threads."""

import itertools
import time
from collections.abc import Generator, Iterable
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, Unpack

import httpx

from laserve_client import _calls as calls
from laserve_client._answers import (
    Arm,
    BatchOutcome,
    Candidate,
    Decision,
    FeedbackOutcome,
    PolicyState,
    Readiness,
    StoredDecision,
)
from laserve_client._calls import Call, Reader
from laserve_client._errors import LaserveClientError
from laserve_client._events import StepReader
from laserve_client._lines import LineReader
from laserve_client._requests import ArmSettings, Feedback, FeedbackLine, GenerateRequest
from laserve_client._retries import connection_errors, pause
from laserve_client._settings import DEFAULT_TIMEOUT, headers

T = TypeVar("T")


class Client:
    """A laserve service, for one thread or many. Close it, or use it as a context manager.

    Every method raises `ConnectionFailed`, `UnexpectedAnswer`, `Unauthorized`, `Unavailable` or, for a status
    without a class of its own, `APIError`; methods name only what else they raise.

    What was refused with 429 or 503 and a ``Retry-After`` of at most 60 seconds is sent again after that
    time. Where the connection failed, the request may have been served all the same: reads and feedback,
    which the service counts once, are sent again after a short pause; `generate`, `stream` and `delete` are
    not.

    Args:
        base_url: where the service listens; may have a path.
        api_key: bearer token, where the service asks for one.
        timeout: of httpx, in seconds; None for no limit. `generate` and `stream` with a ``timeout_s`` wait at
            least a minute longer than that for bytes, whatever is set here.
        max_retries: most times that one call is sent again, from 0.
        transport: of httpx, for tests and proxies.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        api_key: str | None = None,
        *,
        timeout: float | httpx.Timeout | None = DEFAULT_TIMEOUT,
        max_retries: int = 2,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(
            base_url=base_url, headers=headers(api_key), timeout=timeout, transport=transport
        )
        self._max_retries = max_retries

    def generate(self, **request: Unpack[GenerateRequest]) -> Decision:
        """Sample candidates and return the best, by the reward model that the policy chooses.

        Args:
            **request: the fields of `GenerateRequest`; exactly one of ``prompt``, ``messages`` and
                ``question``.

        Raises:
            InvalidRequest: the request breaks a bound, does not fit the model or is too large.
            Overloaded: the service has no room.
            TimedOut: no candidate finished by ``timeout_s``.
            ValueError: a value, such as NaN, has no form in JSON.
        """
        return self._send(calls.generate(request))

    def stream(self, **request: Unpack[GenerateRequest]) -> Generator[Candidate | Decision]:
        """Yield each candidate as it finishes, before it is scored, and at last the decision.

        The request is sent when the first step is asked for. An iterator that is left early is to be closed,
        as with ``contextlib.closing``; the service then stops working on it.

        Args:
            **request: as for `generate`.

        Raises:
            ConnectionFailed: also when the stream ends without a decision.
            APIError: besides those of `generate`, whatever fails after the first candidate.
        """
        return self._steps(calls.generate(request, stream=True), StepReader())

    def feedback(
        self, decision_id: str, *, idempotency_key: str | None = None, **feedback: Unpack[Feedback]
    ) -> FeedbackOutcome:
        """Tell how good an answer was. It is on disk when this returns.

        The service counts a feedback once: one with the same decision, source and kind, or with the same
        idempotency key, is a ``duplicate`` of the first.

        Args:
            idempotency_key: 1..255 characters; a new one corrects an earlier feedback.
            **feedback: the fields of `Feedback`; exactly one of ``reward``, ``thumb``, ``chosen_index``,
                ``candidate_rewards`` and ``references``.

        Raises:
            NotFound: there is no such decision.
            Gone: the decision was deleted.
            Conflict: the same feedback came before with another body, which ``stored`` holds.
            InvalidRequest: the value breaks a bound or does not fit the decision.
            ValueError: a value, such as NaN, has no form in JSON.
        """
        return self._send(calls.feedback(decision_id, feedback, idempotency_key))

    def feedback_batch(self, lines: Iterable[FeedbackLine]) -> list[BatchOutcome]:
        """Send many feedbacks at once; one that is refused does not stop the others.

        Args:
            lines: each with a ``decision_id`` and the fields of `Feedback`.

        Returns:
            An outcome for each, in their order; a refused one holds its ``error``.

        Raises:
            InvalidRequest: the batch is larger than the service takes, by default 4 MiB.
            ValueError: a value, such as NaN, has no form in JSON.
        """
        return self._send(calls.feedback_batch(lines))

    def decision(self, decision_id: str) -> StoredDecision:
        """Read a decision as it was logged, and the feedback on it.

        Raises:
            NotFound: there is no such decision.
            Gone: it was deleted.
        """
        return self._send(calls.decision(decision_id))

    def delete(self, decision_id: str) -> None:
        """Remove a decision's texts, references and metadata for good; what was learned stays.

        Raises:
            NotFound: there is no such decision.
            Gone: it was deleted before.
        """
        self._send(calls.delete(decision_id))

    def export(
        self, *, since: float | None = None, task: str | None = None, with_feedback: bool = False
    ) -> Generator[dict[str, Any]]:
        """Yield the decisions that have kept their texts, oldest first, with the reward of each candidate.

        Each is a line of the service's ``GET /export``, as a mapping. The request is sent when the first one
        is asked for; an iterator that is left early is to be closed, as with ``contextlib.closing``.

        Args:
            since: Unix seconds, from 0; decisions made then or later.
            task: only this one.
            with_feedback: only decisions with feedback, or with a default in its place.

        Raises:
            ConnectionFailed: also when the export breaks off.
            InvalidRequest: a value breaks a bound.
        """
        call = calls.export(since=since, task=task, with_feedback=with_feedback)
        return self._steps(call, LineReader())

    def arms(self) -> list[Arm]:
        """List the reward models, loaded or not."""
        return self._send(calls.arms())

    def arm(self, name: str) -> Arm:
        """Read one reward model.

        Raises:
            NotFound: there is no such arm.
        """
        return self._send(calls.arm(name))

    def add_arm(self, name: str, kind: str, **settings: Unpack[ArmSettings]) -> Arm:
        """Add a reward model. It is ``loading`` when this returns; `arm` tells when it is ``ready``.

        Args:
            name: in answers, metrics and the log; 1..64 letters, digits, dots, dashes and underscores.
            kind: one that the service's ``scoring.allow_kinds`` has.
            **settings: the fields of `ArmSettings`.

        Raises:
            Forbidden: the service does not allow the kind, or a folder or URL among the options.
            Conflict: there is an arm of that name, or there are too many.
            InvalidRequest: the kind does not take these options.
            ValueError: a value, such as NaN, has no form in JSON.
        """
        return self._send(calls.add_arm(name, kind, settings))

    def set_arm_state(self, name: str, state: Literal["enabled", "draining", "retired"]) -> Arm:
        """Drain a reward model, retire it, or enable it again.

        Args:
            state: ``draining`` finishes the requests under way and gets no new ones, ``retired`` is closed
                after that, ``enabled`` is loaded again where it has to be.

        Raises:
            NotFound: there is no such arm.
            Conflict: it is loading, the last one that is ready, or the one that the policy always plays.
            Forbidden: it would have to be loaded, and the service does not allow it any more.
        """
        return self._send(calls.set_arm_state(name, state))

    def policy(self) -> PolicyState:
        """Read the policy and what it has learned."""
        return self._send(calls.policy())

    def ready(self) -> Readiness:
        """Tell whether requests are served; does not raise while the service is loading."""
        return self._send(calls.ready())

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _send(self, call: Call[T]) -> T:
        return call.answer(self._open(call))

    def _steps(self, call: Call[Any], reader: Reader[T]) -> Generator[T]:
        response = self._open(call)
        try:
            with reader.reading():
                for chunk in response.iter_bytes():
                    yield from reader.feed(chunk)
        finally:
            response.close()

    def _open(self, call: Call[Any]) -> httpx.Response:
        """The accepted response, read unless it is a stream."""
        for attempt in itertools.count():
            try:
                return self._once(call)
            except LaserveClientError as error:
                wait = pause(call, error, attempt=attempt, max_retries=self._max_retries)
                if wait is None:
                    raise
            time.sleep(wait)
        raise AssertionError("unreachable")

    def _once(self, call: Call[Any]) -> httpx.Response:
        with connection_errors(call):
            response = self._http.send(call.request(self._http), stream=call.streams)
            if not call.accepted(response):
                response.read()
        call.check(response)
        return response
