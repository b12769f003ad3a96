"""FastAPI dependencies of the endpoints: service, caller's key, closing of streams, check of characters."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Annotated

from fastapi import Depends, Request

from laserve.api.callers import authenticate
from laserve.config.sections import UNAUTHORIZED
from laserve.errors import InvalidRequest, Unauthorized
from laserve.service import Service


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceDep = Annotated[Service, Depends(_service)]


def _caller(request: Request, service: ServiceDep) -> str:
    """Name of the API key of this request; empty if no keys are configured.

    Raises:
        Unauthorized: keys are configured and the request carries none of them.
    """
    keys = service.settings.server.api_keys
    if not keys:
        return ""
    caller, problem = authenticate(request.headers.get("authorization", ""), keys)
    request.state.caller = caller or UNAUTHORIZED
    if caller is None:
        service.metrics.unauthorized.labels(problem).inc()
        raise Unauthorized("Authorization: expected `Bearer` and a known API key", param="Authorization")
    return caller


CallerDep = Annotated[str, Depends(_caller)]


async def _closing() -> AsyncIterator[AsyncExitStack]:
    """Callbacks for the end of an answer, sent or not: a client may leave before its stream begins."""
    async with AsyncExitStack() as stack:
        yield stack


ClosingDep = Annotated[AsyncExitStack, Depends(_closing)]


async def whole_characters(request: Request) -> None:
    """Refuse a body with an unpaired surrogate, which JSON can spell but UTF-8 cannot encode."""
    raw = await request.body()
    if b"\\ud" not in raw.lower():
        return
    try:
        json.dumps(json.loads(raw), ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            "body: contains an unpaired surrogate (\\ud800 to \\udfff); expected whole characters",
            param="body",
        ) from error
