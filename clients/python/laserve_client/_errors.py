"""Errors that a client raises on purpose.

LaserveClientError
├── ConnectionFailed       no answer, or an incomplete one
├── UnexpectedAnswer       an answer that laserve does not give
└── APIError               the service refused
    ├── InvalidRequest     413, 422: the request breaks a bound; ``param`` names the field
    ├── Unauthorized       401: no API key, or an unknown one
    ├── Forbidden          403: the service's configuration does not allow it
    ├── NotFound           404: no such decision, arm or endpoint
    ├── Conflict           409: the feedback came before with another body, or an arm's state forbids it
    ├── Gone               410: the decision was deleted
    ├── Overloaded         429: the service has no capacity now; see ``retry_after``
    ├── Unavailable        503: a part of the service is not available now; see ``retry_after``
    └── TimedOut           504: no candidate finished by ``timeout_s``
"""

import json
from collections.abc import Mapping
from typing import Any

import httpx


class LaserveClientError(Exception):
    """The root of the tree: ``except LaserveClientError`` catches all of them."""


class ConnectionFailed(LaserveClientError):
    """No answer came, or the answer broke off; the service may or may not have done the work."""


class UnexpectedAnswer(LaserveClientError):
    """An answer that laserve does not give: another program listens at ``base_url``."""


class APIError(LaserveClientError):
    """The service refused, with a status that has no class of its own or one of the subclasses."""

    #: HTTP status; for an error within a stream or a batch, the status of a single request.
    status: int
    #: Family, for example ``invalid_request_error``; ``unknown`` where the answer is not laserve's.
    type: str
    #: Precise error, for example ``not_found``; ``unknown`` where the answer is not laserve's.
    code: str
    #: Text for people; names the field and the bound.
    message: str
    #: Field of the request that caused the error, if any.
    param: str | None
    #: Seconds after which to try again; None where the answer has none.
    retry_after: int | None
    #: The service's JSON object of the error.
    detail: Mapping[str, Any]

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        detail: Mapping[str, Any] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.detail = detail or {}
        self.status = status
        self.type = self.detail.get("type") or "unknown"
        self.code = self.detail.get("code") or "unknown"
        self.message = message
        self.param = self.detail.get("param")
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.message} ({self.status}, {self.code})"


class InvalidRequest(APIError):
    """The request breaks a bound (422) or is too large (413); ``param`` names the field."""


class Unauthorized(APIError):
    """The service requires an API key, and got none or an unknown one."""


class Forbidden(APIError):
    """The service's configuration does not allow the request; the message names what is allowed."""


class NotFound(APIError):
    """There is no such decision, no such arm, or no such endpoint."""


class Gone(APIError):
    """The decision was deleted."""


class Conflict(APIError):
    """The feedback came before with another body; send an ``idempotency_key`` to correct it.

    For a change of an arm: the state of this arm, or of another one, forbids the change.
    """

    @property
    def stored(self) -> Mapping[str, Any] | None:
        """The earlier body; None where it is no longer kept."""
        return self.detail.get("stored")


class Overloaded(APIError):
    """The service is at its limit of requests; ``retry_after`` is the time until the next try."""


class Unavailable(APIError):
    """The service is loading, or a part of it has failed; ``retry_after`` is the time until the next try."""


class TimedOut(APIError):
    """No candidate finished by ``timeout_s``."""


_BY_STATUS: dict[int, type[APIError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: InvalidRequest,
    422: InvalidRequest,
    429: Overloaded,
    503: Unavailable,
    504: TimedOut,
}
_STATUS_OF_CODE = {
    "not_found": 404,
    "idempotency_conflict": 409,
    "arm_conflict": 409,
    "deleted": 410,
    "body_too_large": 413,
}
_STATUS_OF_TYPE = {
    "authentication_error": 401,
    "permission_error": 403,
    "invalid_request_error": 422,
    "rate_limit_error": 429,
    "unavailable_error": 503,
    "timeout_error": 504,
}


def from_response(response: httpx.Response) -> APIError:
    """The error of a response whose body was read."""
    try:
        detail = json.loads(response.content)["error"]
        message = detail["message"]
    except (ValueError, TypeError, KeyError):
        detail, message = {}, response.text.strip()[:500] or response.reason_phrase
    after = response.headers.get("Retry-After", "")
    status = response.status_code
    return _BY_STATUS.get(status, APIError)(
        message, status=status, detail=detail, retry_after=int(after) if after.isdecimal() else None
    )


def from_detail(detail: Mapping[str, Any]) -> APIError:
    """The error within a stream or a batch, which has no status of its own.

    Raises:
        KeyError: the object is not an error of laserve.
    """
    status = _STATUS_OF_CODE.get(detail["code"]) or _STATUS_OF_TYPE.get(detail["type"], 500)
    return _BY_STATUS.get(status, APIError)(detail["message"], status=status, detail=detail)
