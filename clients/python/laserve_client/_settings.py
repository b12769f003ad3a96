"""What both clients start from."""

import httpx

#: Sampling may take 120 seconds by the service's defaults, and scoring comes after it.
DEFAULT_TIMEOUT = httpx.Timeout(180.0, connect=5.0)


def headers(api_key: str | None) -> dict[str, str]:
    """Headers of every request."""
    return {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
