"""Conversion of errors to HTTP answers: ``{"error": {"type", "code", "message", "param"}}``."""

import logging
import re
import traceback
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from laserve.errors import (
    Conflict,
    InvalidRequest,
    LaserveError,
    NotFound,
    Overloaded,
    Unauthorized,
    Unavailable,
)

#: A field name or an index; pydantic also names the branches of a union, which clients do not know.
_STEP = re.compile(r"[A-Za-z_]\w*|\d+")

logger = logging.getLogger(__name__)


def detail(error: LaserveError) -> dict[str, Any]:
    """The value of ``error`` in the body of an error."""
    body = {"type": error.type, "code": error.code, "message": error.message, "param": error.param}
    return body | ({"stored": error.stored} if isinstance(error, Conflict) else {})


def respond(error: LaserveError) -> JSONResponse:
    """The HTTP response for an error."""
    headers = {}
    if isinstance(error, Overloaded | Unavailable):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": detail(error)}, error.status, headers)


def invalid(problems: Sequence[Any], *, root: str = "body") -> InvalidRequest:
    """One error for all problems of a schema; its ``param`` is the first field, its message names all.

    Args:
        problems: as pydantic's ``errors()`` gives them.
        root: name of the value itself.
    """
    parts = []
    params = []
    for problem in problems:
        params.append(".".join(_path(problem)) or root)
        parts.append(f"{params[-1]}: {_reason(problem)}")
    return InvalidRequest("; ".join(parts), param=params[0])


def _path(problem: Any) -> list[str]:
    """Keys and indices of the refused value, as the sender knows them; empty for the whole body."""
    if problem["type"] == "json_invalid":
        return []
    root, *steps = problem["loc"] or ("",)
    if root == "header":
        return [str(step).title() for step in steps]
    if root in ("path", "query"):
        return [str(step) for step in steps]
    return [str(step) for step in problem["loc"] if step != "body" and _STEP.fullmatch(str(step))]


def _reason(problem: Any) -> str:
    message: str = problem["msg"]
    match problem["type"]:
        case "value_error":  # raised by a validator of laserve
            message = str(problem["ctx"]["error"])
        case "extra_forbidden":
            return "is an unknown field"
        case "json_invalid":
            return f"is not JSON: {problem.get('ctx', {}).get('error', message)}"
        case "model_attributes_type" | "dict_type" | "model_type":
            return "expected a JSON object, with Content-Type: application/json"
        case "missing" if problem["loc"] == ("body",):
            return "expected a JSON object, with Content-Type: application/json"
    return message[0].lower() + message[1:]


def install(app: FastAPI) -> None:
    """Register the handlers of laserve's errors, of schema errors, of the framework's errors and of bugs."""

    @app.exception_handler(LaserveError)
    async def _ours(request: Request, error: LaserveError) -> JSONResponse:
        if error.status >= 500:
            logger.warning("%s: %s: %s", request.scope["route"].path, error.code, error.message)
        return respond(error)

    @app.exception_handler(RequestValidationError)
    async def _schema(_request: Request, error: RequestValidationError) -> JSONResponse:
        return respond(invalid(error.errors()))

    @app.exception_handler(HTTPException)
    async def _framework(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 400:  # FastAPI's status for a body that it could not decode
            return respond(InvalidRequest("body: is not JSON in UTF-8", param="body"))
        if error.status_code == 404:
            return respond(NotFound(f"there is no endpoint {request.method} {request.url.path}"))
        body = {"type": "invalid_request_error", "code": "http_error", "message": error.detail, "param": None}
        return JSONResponse({"error": body}, error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def _bug(request: Request, error: Exception) -> JSONResponse:
        # The log line omits the error's message, which may quote the request.
        where = "".join(traceback.format_tb(error.__traceback__))
        logger.error("%s: %s:\n%s", request.url.path, type(error).__name__, where)
        return respond(LaserveError("an unexpected error; the server's log has its traceback"))
