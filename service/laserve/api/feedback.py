"""``POST /feedback`` and ``POST /feedback/batch``."""

import asyncio
from collections.abc import Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from pydantic import ValidationError
from starlette.responses import Response

from laserve.api.answers import ErrorBody, ErrorDetail, FeedbackAnswer, LineAnswer
from laserve.api.dependencies import CallerDep, ServiceDep, whole_characters
from laserve.api.errors import detail, invalid
from laserve.api.schemas import FeedbackBody
from laserve.api.service import Service
from laserve.errors import LaserveError

router = APIRouter(tags=["feedback"])

_ERRORS: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorBody, "description": "No such decision."},
    409: {"model": ErrorBody, "description": "Came before with another body, which `stored` holds."},
    410: {"model": ErrorBody, "description": "The decision was deleted."},
    422: {"model": ErrorBody, "description": "The feedback breaks a bound; `param` names the field."},
}
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
            description="Makes a repeat safe; by default decision, source and kind together do.",
        ),
    ] = None,
) -> FeedbackAnswer:
    """Tell how good an answer was. Status 200 means that it is on disk."""
    outcome = await service.feedback.record(body.to_feedback(key=caller, idempotency_key=idempotency_key))
    return FeedbackAnswer(status=outcome.status, learned=outcome.learned, reward=outcome.reward)


@router.post(
    "/feedback/batch",
    response_class=Response,
    responses={200: {"description": "An answer a line, in order.", "content": {"application/x-ndjson": {}}}},
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/x-ndjson": {"example": _LINE}}}
    },
)
async def batch(request: Request, service: ServiceDep, caller: CallerDep) -> Response:
    """Many feedbacks, one JSON object a line. A line that is refused does not stop the others."""
    lines = (await request.body()).split(b"\n")
    work: list[Coroutine[Any, Any, LineAnswer]] = [
        _line(number, line, service, caller) for number, line in enumerate(lines, start=1) if line.strip()
    ]
    answers = await asyncio.gather(*work)
    content = "".join(answer.model_dump_json(exclude_unset=True) + "\n" for answer in answers)
    return Response(content, media_type="application/x-ndjson")


async def _line(number: int, line: bytes, service: Service, caller: str) -> LineAnswer:
    try:
        body = FeedbackBody.model_validate_json(line)
        outcome = await service.feedback.record(body.to_feedback(key=caller, idempotency_key=None))
    except ValidationError as error:
        return _refused(number, invalid(error.errors()))
    except LaserveError as error:
        return _refused(number, error)
    return LineAnswer(line=number, status=outcome.status, learned=outcome.learned, reward=outcome.reward)


def _refused(number: int, error: LaserveError) -> LineAnswer:
    fields = {name: value for name, value in detail(error).items() if name in ErrorDetail.model_fields}
    return LineAnswer(line=number, status="error", error=ErrorDetail(**fields))
