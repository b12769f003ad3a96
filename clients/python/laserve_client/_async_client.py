"""The client for asyncio."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Iterable
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
    Health,
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
from laserve_client._settings import DEFAULT_TIMEOUT, address, headers

T = TypeVar("T")


class AsyncClient:
    """A laserve service, for one event loop. Close it, or use it as a context manager.

    Every method raises `ConnectionFailed`, `UnexpectedAnswer`, `Unauthorized`, `Unavailable` or, for a status
    without a class of its own, `APIError`; the methods document only further errors.

    A request refused with 429 or 503 and a ``Retry-After`` of at most 60 seconds is sent again after that
    time. Where the connection failed, the request may have been served nevertheless: reads and feedback,
    which the service counts once, are sent again after a short pause; `generate`, `stream` and `delete` are
    not.

    Args:
        base_url: URL of the service; may have a path.
        api_key: bearer token, if the service requires one.
        timeout: timeout of httpx, in seconds; None for no limit. `generate` and `stream` with a ``timeout_s``
            wait for bytes at least a minute longer than ``timeout_s``, whatever the timeout.
        max_retries: largest number of repeats of one call, from 0.
        transport: transport of httpx, for tests and proxies.

    Raises:
        ValueError: `base_url` has no form of a URL, or `api_key` is not ASCII.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        api_key: str | None = None,
        *,
        timeout: float | httpx.Timeout | None = DEFAULT_TIMEOUT,
        max_retries: int = 2,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=address(base_url), headers=headers(api_key), timeout=timeout, transport=transport
        )
        self._max_retries = max_retries

    async def generate(self, **request: Unpack[GenerateRequest]) -> Decision:
        """Sample candidates and return the best, by the reward model that the policy chooses.

        Args:
            **request: the fields of `GenerateRequest`; exactly one of ``prompt``, ``messages`` and
                ``question``.

        Raises:
            InvalidRequest: the request breaks a bound, does not fit the model or is too large.
            Overloaded: the service has no capacity now.
            TimedOut: no candidate finished by ``timeout_s``.
            ValueError: a value, for example NaN, has no form in JSON.
        """
        return await self._send(calls.generate(request))

    def stream(self, **request: Unpack[GenerateRequest]) -> AsyncGenerator[Candidate | Decision]:
        """Yield each candidate as it finishes, before it is scored, and at last the decision.

        The request is sent at the first iteration. Close an iterator that you leave early, for example with
        ``contextlib.aclosing``; the service then stops working on the request.

        Args:
            **request: as for `generate`.

        Raises:
            ConnectionFailed: also when the stream ends without a decision.
            APIError: as for `generate`, and for a failure after the first candidate.
        """
        return self._steps(calls.generate(request, stream=True), StepReader())

    async def feedback(
        self, decision_id: str, *, idempotency_key: str | None = None, **feedback: Unpack[Feedback]
    ) -> FeedbackOutcome:
        """Send feedback on an answer. The feedback is on disk when this method returns.

        The service counts a feedback once: a second one with equal decision, source and kind, or with an
        equal idempotency key, is a ``duplicate`` of the first.

        Args:
            idempotency_key: 1..255 characters; a new key corrects an earlier feedback.
            **feedback: the fields of `Feedback`; exactly one of ``reward``, ``thumb``, ``chosen_index``,
                ``candidate_rewards`` and ``references``.

        Raises:
            NotFound: there is no such decision.
            Gone: the decision was deleted.
            Conflict: this feedback came before with another body, which ``stored`` holds.
            InvalidRequest: the value breaks a bound or does not fit the decision.
            ValueError: a value, for example NaN, has no form in JSON.
        """
        return await self._send(calls.feedback(decision_id, feedback, idempotency_key))

    async def feedback_batch(self, lines: Iterable[FeedbackLine]) -> list[BatchOutcome]:
        """Send many feedbacks at once; a refused feedback does not stop the others.

        Args:
            lines: feedbacks, each with a ``decision_id`` and the fields of `Feedback`.

        Returns:
            An outcome for each line, in order; the outcome of a refused line holds its ``error``.

        Raises:
            InvalidRequest: the batch is larger than the service takes, by default 4 MiB.
            ValueError: a value, for example NaN, has no form in JSON.
        """
        return await self._send(calls.feedback_batch(lines))

    async def decision(self, decision_id: str) -> StoredDecision:
        """Read a decision as it was logged, with its feedback.

        Raises:
            NotFound: there is no such decision.
            Gone: the decision was deleted.
        """
        return await self._send(calls.decision(decision_id))

    async def delete(self, decision_id: str) -> None:
        """Remove a decision's texts, references and metadata for good; the learned state stays.

        Raises:
            NotFound: there is no such decision.
            Gone: the decision was deleted before.
        """
        await self._send(calls.delete(decision_id))

    def export(
        self, *, since: float | None = None, task: str | None = None, with_feedback: bool = False
    ) -> AsyncGenerator[dict[str, Any]]:
        """Yield the decisions whose texts are kept, oldest first, with the reward of each candidate.

        Each decision is a line of the service's ``GET /export``, as a mapping. The request is sent at the
        first iteration. Close an iterator that you leave early, for example with ``contextlib.aclosing``.

        Args:
            since: Unix seconds, from 0; only decisions made at or after this time.
            task: only decisions of this task.
            with_feedback: only decisions with feedback or a learned default reward.

        Raises:
            ConnectionFailed: also when the export breaks off.
            InvalidRequest: a value breaks a bound.
        """
        call = calls.export(since=since, task=task, with_feedback=with_feedback)
        return self._steps(call, LineReader())

    async def arms(self) -> list[Arm]:
        """List the reward models, loaded or not."""
        return await self._send(calls.arms())

    async def arm(self, name: str) -> Arm:
        """Read one reward model.

        Raises:
            NotFound: there is no such arm.
        """
        return await self._send(calls.arm(name))

    async def add_arm(self, name: str, kind: str, **settings: Unpack[ArmSettings]) -> Arm:
        """Add a reward model. It is ``loading`` when this returns; `arm` reads whether it is ``ready``.

        Args:
            name: name in answers, metrics and the log; 1..64 letters, digits, dots, dashes and underscores.
            kind: a kind in the service's ``scoring.allow_kinds``.
            **settings: the fields of `ArmSettings`.

        Raises:
            Forbidden: the service does not allow the kind, or a folder or URL among the options.
            Conflict: there is an arm of this name, or there are too many arms.
            InvalidRequest: the kind does not take these options.
            ValueError: a value, for example NaN, has no form in JSON.
        """
        return await self._send(calls.add_arm(name, kind, settings))

    async def set_arm_state(self, name: str, state: Literal["enabled", "draining", "retired"]) -> Arm:
        """Drain a reward model, retire it, or enable it again.

        Args:
            state: a ``draining`` arm finishes the requests under way and gets no new ones, a ``retired`` one
                is closed after that, an ``enabled`` one is loaded again where necessary.

        Raises:
            NotFound: there is no such arm.
            Conflict: the arm is loading, is the last ready one, or is the one that the policy always plays.
            Forbidden: the arm would have to be loaded, which the service no longer allows.
        """
        return await self._send(calls.set_arm_state(name, state))

    async def policy(self) -> PolicyState:
        """Read the policy and its learned state."""
        return await self._send(calls.policy())

    async def ready(self) -> Readiness:
        """Read whether requests are served; does not raise while the service is loading."""
        return await self._send(calls.ready())

    async def health(self) -> Health:
        """Read whether the process is alive, whatever the state of its parts."""
        return await self._send(calls.health())

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _send(self, call: Call[T]) -> T:
        return call.answer(await self._open(call))

    async def _steps(self, call: Call[Any], reader: Reader[T]) -> AsyncGenerator[T]:
        response = await self._open(call)
        try:
            with reader.reading():
                async for chunk in response.aiter_bytes():
                    for step in reader.feed(chunk):
                        yield step
        finally:
            await response.aclose()

    async def _open(self, call: Call[Any]) -> httpx.Response:
        """The accepted response; its body is read unless it is a stream."""
        for attempt in itertools.count():
            try:
                return await self._once(call)
            except LaserveClientError as error:
                wait = pause(call, error, attempt=attempt, max_retries=self._max_retries)
                if wait is None:
                    raise
            await asyncio.sleep(wait)
        raise AssertionError("unreachable")

    async def _once(self, call: Call[Any]) -> httpx.Response:
        with connection_errors(call):
            response = await self._http.send(call.request(self._http), stream=call.streams)
            if not call.accepted(response):
                await response.aread()
        call.check(response)
        return response
