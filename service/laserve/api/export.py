"""Endpoint ``GET /export``."""

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from laserve.admission import Underway
from laserve.api.bodies.answers import ErrorBody
from laserve.api.dependencies import CallerDep, ClosingDep, ServiceDep
from laserve.api.errors import detail
from laserve.errors import StoreError, Unavailable
from laserve.history.export import Export
from laserve.storage.base import Wanted

router = APIRouter(tags=["decisions"])
logger = logging.getLogger(__name__)

_LINES = "application/x-ndjson"
_EXAMPLE = (
    '{"id": "0199c0de-0000-7000-8000-000000000000", "created_at": 1760000000.0, "task": null, '
    '"policy": "linucb", "arm": "loglik", "scored_by": "loglik", "propensity": 0.9, "prompt": "The bridge", '
    '"candidates": [{"text": " of Orrin", "logprob": -1.5, "tokens": 2}, {"text": " is", "logprob": -0.5, '
    '"tokens": 1}], "index": 1, "scores": {"loglik": [-1.5, -0.5]}, "feedback": [{"kind": "thumb", "value": '
    '0.0, "metric": null, "source": "", "reward": 0.0, "learned": true, "created_at": 1760000060.0}], '
    '"rewards": [null, 0.0], "reward": 0.0}\n'
)
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "One decision per line.", "content": {_LINES: {"example": _EXAMPLE}}},
    422: {"model": ErrorBody, "description": "A query parameter is out of bounds; `param` names it."},
    503: {"model": ErrorBody, "description": "The database refused the read."},
}


class ExportQuery(BaseModel):
    """The filters of an export."""

    model_config = ConfigDict(extra="forbid")

    since: float | None = Field(
        None,
        ge=0,
        allow_inf_nan=False,
        description="Unix seconds; only decisions made at this time or later.",
    )
    task: str | None = Field(None, min_length=1, max_length=64, description="Only decisions of this task.")
    with_feedback: bool = Field(False, description="Only decisions with feedback.")


@router.get("/export", response_class=Response, responses=_RESPONSES)
async def export(
    query: Annotated[ExportQuery, Query()], service: ServiceDep, caller: CallerDep, closing: ClosingDep
) -> Response:
    """Export the decisions whose texts are kept, oldest first, with the reward of each candidate.

    An export that breaks off ends with a line that holds only `error`.
    """
    lines = Export(service.store, Wanted(**dict(query))).lines()
    closing.push_async_callback(lines.aclose)
    first = await anext(lines, b"")  # an error of the first read is answered with a status
    return StreamingResponse(_resume(first, lines, service.underway), media_type=_LINES)


async def _resume(first: bytes, rest: AsyncGenerator[bytes], underway: Underway) -> AsyncIterator[bytes]:
    line: bytes | None = first
    try:
        while line is not None:
            yield line
            async with underway.unless_aborted():
                line = await anext(rest, None)
    except TimeoutError:
        yield _broken(Unavailable("the service is stopping"))
    except StoreError as error:
        logger.warning("/export: %s: %s", error.code, error.message)
        yield _broken(error)


def _broken(error: Unavailable) -> bytes:
    return json.dumps({"error": detail(error)}).encode() + b"\n"
