"""When a call is sent again, and after how long."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from laserve_client._calls import Call
from laserve_client._errors import ConnectionFailed, LaserveClientError, Overloaded, Unavailable

#: Seconds before the first repeat after a connection failed; doubled before each further one.
BACKOFF_S = 0.25
#: Longest ``Retry-After`` that is waited for, in seconds; a longer one is the caller's to wait.
MAX_RETRY_AFTER_S = 60

#: What may pass; the other failures are of the client's own making, such as a malformed ``base_url``.
_PASSING = (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError)


@contextmanager
def connection_errors(call: Call[Any]) -> Iterator[None]:
    """Around input and output of one call.

    Raises:
        ConnectionFailed: no answer came, or it broke off.
    """
    try:
        yield
    except httpx.RequestError as error:
        raise ConnectionFailed(f"{call.method} {call.path}: {str(error) or repr(error)}") from error


def pause(call: Call[Any], error: LaserveClientError, *, attempt: int, max_retries: int) -> float | None:
    """Seconds to wait before the call is sent again; None where it must not be.

    Args:
        attempt: times that it was sent before, from 0.
    """
    if attempt >= max_retries:
        return None
    if isinstance(error, Overloaded | Unavailable):
        after = error.retry_after
        return after if after is not None and after <= MAX_RETRY_AFTER_S else None
    if isinstance(error, ConnectionFailed) and call.repeatable and isinstance(error.__cause__, _PASSING):
        return BACKOFF_S * 2.0**attempt
    return None
