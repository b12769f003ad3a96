"""Endpoint ``POST /generate``."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Depends
from sse_starlette import EventSourceResponse, JSONServerSentEvent, ServerSentEvent
from starlette.responses import Response

from laserve.admission import Underway
from laserve.api.bodies.answers import CandidateEvent, DecisionBody, ErrorBody
from laserve.api.bodies.requests import GenerateBody
from laserve.api.dependencies import CallerDep, ClosingDep, ServiceDep, whole_characters
from laserve.api.errors import detail
from laserve.errors import InvalidRequest, LaserveError, Unavailable
from laserve.service import ABORT_S, Service
from laserve.types import Candidate, Decision, Request

router = APIRouter(tags=["generate"])

_ERRORS: dict[int | str, dict[str, Any]] = {
    422: {"model": ErrorBody, "description": "The request is invalid; `param` names the field."},
    429: {"model": ErrorBody, "description": "Too many requests are under way; see `Retry-After`."},
    503: {
        "model": ErrorBody,
        "description": "The service is loading, or a part of it has failed; see `Retry-After`.",
    },
    504: {"model": ErrorBody, "description": "No candidate finished within `timeout_s`."},
}


@router.post(
    "/generate",
    response_model=DecisionBody,
    responses=_ERRORS
    | {
        200: {
            "description": "The decision with the best candidate; with `stream`, server-sent events.",
            "model": DecisionBody,
        }
    },
    dependencies=[Depends(whole_characters)],
)
async def generate(
    body: GenerateBody, service: ServiceDep, caller: CallerDep, closing: ClosingDep
) -> Response | DecisionBody:
    """Sample n candidates, let the policy choose the reward model, and return the best candidate."""
    await service.check()
    try:
        request = body.to_request(service.settings.generation.defaults)
    except ValueError as error:
        raise InvalidRequest(str(error), param="temperature") from error
    if body.stream:
        events = _events(service, request, body, caller)
        closing.push_async_callback(events.aclose)
        first = await anext(events)  # an error before the first event is answered with a status
        return EventSourceResponse(
            _resume(first, events, service.underway),
            ping=service.settings.server.heartbeat_s,
            shutdown_grace_period=service.settings.server.drain_s + ABORT_S / 2,
        )
    with service.permits.permit():
        async with aclosing(service.answerer.answer(request, key=caller)) as steps:
            async for step in steps:
                if isinstance(step, Decision):
                    return DecisionBody.of(step, candidates=body.return_candidates)
    raise LaserveError("the answer ended without a decision")


async def _events(
    service: Service, request: Request, body: GenerateBody, caller: str
) -> AsyncGenerator[ServerSentEvent]:
    with service.permits.permit():
        started = False
        try:
            async with aclosing(service.answerer.answer(request, key=caller)) as steps:
                async for step in steps:
                    started = True
                    yield _event(step, body)
        except LaserveError as error:
            if not started:
                raise
            yield _error(error)


def _event(step: str | Candidate | Decision, body: GenerateBody) -> ServerSentEvent:
    if isinstance(step, str):
        return ServerSentEvent(comment=f"decision {step}")
    if isinstance(step, Candidate):
        return ServerSentEvent(CandidateEvent.of(step).model_dump_json(), event="candidate")
    answer = DecisionBody.of(step, candidates=body.return_candidates)
    return ServerSentEvent(answer.model_dump_json(), event="decision")


async def _resume(
    first: ServerSentEvent, rest: AsyncGenerator[ServerSentEvent], underway: Underway
) -> AsyncIterator[ServerSentEvent]:
    """The events of a stream; an error event ends it if the service must stop before the decision."""
    yield first
    try:
        while True:
            async with underway.unless_aborted():
                event = await anext(rest, None)
            if event is None:
                return
            yield event
    except TimeoutError:
        yield _error(Unavailable("the service is stopping"))


def _error(error: LaserveError) -> ServerSentEvent:
    return JSONServerSentEvent({"error": detail(error)}, event="error")
