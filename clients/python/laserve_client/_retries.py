"""Rules for sending a call again: when, and after how long."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from laserve_client._calls import Call
from laserve_client._errors import ConnectionFailed, LaserveClientError, Overloaded, Unavailable

#: Seconds before the first repeat after a connection failed; doubled before each further one.
BACKOFF_S = 0.25
#: Longest ``Retry-After`` that the client waits for, in seconds; the caller handles longer ones.
MAX_RETRY_AFTER_S = 60

#: Errors that may be transient; others are mistakes of the caller, for example a malformed ``base_url``.
_TRANSIENT = (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError)


@contextmanager
def connection_errors(call: Call[Any]) -> Iterator[None]:
    """Context manager around the input and output of one call.

    Raises:
        ConnectionFailed: no answer came, or the answer broke off.
    """
    try:
        yield
    except httpx.RequestError as error:
        raise ConnectionFailed(f"{call.method} {call.path}: {str(error) or repr(error)}") from error


def pause(call: Call[Any], error: LaserveClientError, *, attempt: int, max_retries: int) -> float | None:
    """Seconds to wait before the call is sent again; None where it must not be sent again.

    Args:
        attempt: number of times that the call was sent before, from 0.
    """
    if attempt >= max_retries:
        return None
    if isinstance(error, Overloaded | Unavailable):
        after = error.retry_after
        return after if after is not None and after <= MAX_RETRY_AFTER_S else None
    if isinstance(error, ConnectionFailed) and call.repeatable and isinstance(error.__cause__, _TRANSIENT):
        return BACKOFF_S * 2.0**attempt
    return None
