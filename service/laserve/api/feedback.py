"""``POST /feedback`` and ``POST /feedback/batch``."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from pydantic import ValidationError
from starlette.responses import Response

from laserve.api.bodies.answers import ErrorBody, ErrorDetail, FeedbackAnswer, LineAnswer
from laserve.api.bodies.requests import FeedbackBody
from laserve.api.dependencies import CallerDep, ServiceDep, whole_characters
from laserve.api.errors import detail, invalid
from laserve.errors import InvalidRequest, LaserveError
from laserve.types import Feedback, FeedbackOutcome

router = APIRouter(tags=["feedback"])

_ERRORS: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorBody, "description": "No decision has this id."},
    409: {
        "model": ErrorBody,
        "description": "This feedback was sent before with a different body, see `stored`.",
    },
    410: {"model": ErrorBody, "description": "The decision was deleted."},
    422: {"model": ErrorBody, "description": "The feedback is invalid; `param` names the field."},
}
_MAX_LINES = 10_000
_LINE = (
    '{"decision_id": "0199c0de-0000-7000-8000-000000000000", "thumb": "up"}\n'
    '{"decision_id": "0199c0de-0000-7000-8000-000000000001", "reward": 0.25}\n'
)


@router.post("/feedback", responses=_ERRORS, dependencies=[Depends(whole_characters)])
async def feedback(
    body: FeedbackBody,
    service: ServiceDep,
    caller: CallerDep,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            description="Identifies a repeated feedback; by default decision, source and kind do.",
        ),
    ] = None,
) -> FeedbackAnswer:
    """Send feedback on an answer. Status 200 means that the feedback is on disk."""
    outcome = await service.feedback.record(body.to_feedback(key=caller, idempotency_key=idempotency_key))
    return FeedbackAnswer(status=outcome.status, learned=outcome.learned, reward=outcome.reward)


@router.post(
    "/feedback/batch",
    response_class=Response,
    responses={
        200: {
            "description": "One answer per line, in the order of the feedbacks.",
            "content": {"application/x-ndjson": {}},
        }
    },
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/x-ndjson": {"example": _LINE}}}
    },
)
async def batch(request: Request, service: ServiceDep, caller: CallerDep) -> Response:
    """Send many feedbacks, one JSON object per line. A line that is refused does not stop the others."""
    lines = (await request.body()).split(b"\n")
    if len(lines) > _MAX_LINES:
        raise InvalidRequest(f"body: {len(lines)} lines; at most {_MAX_LINES} in one batch", param="body")
    read = [(number, _read(line, caller)) for number, line in enumerate(lines, start=1) if line.strip()]
    sent = [parsed for _, parsed in read if isinstance(parsed, Feedback)]
    outcomes = iter(await service.feedback.record_all(sent))
    answers = [
        _answer(number, next(outcomes) if isinstance(parsed, Feedback) else parsed) for number, parsed in read
    ]
    content = "".join(answer.model_dump_json(exclude_unset=True) + "\n" for answer in answers)
    return Response(content, media_type="application/x-ndjson")


def _read(line: bytes, caller: str) -> Feedback | LaserveError:
    try:
        return FeedbackBody.model_validate_json(line).to_feedback(key=caller, idempotency_key=None)
    except ValidationError as error:
        return invalid(error.errors())


def _answer(number: int, result: FeedbackOutcome | LaserveError) -> LineAnswer:
    if isinstance(result, FeedbackOutcome):
        return LineAnswer(line=number, status=result.status, learned=result.learned, reward=result.reward)
    fields = {name: value for name, value in detail(result).items() if name in ErrorDetail.model_fields}
    return LineAnswer(line=number, status="error", error=ErrorDetail(**fields))
