"""Address, headers and default timeout of both clients."""

import httpx

#: By the service's defaults, sampling may take 120 seconds, and scoring follows.
DEFAULT_TIMEOUT = httpx.Timeout(180.0, connect=5.0)


def headers(api_key: str | None) -> dict[str, str]:
    """Headers of every request."""
    return {} if api_key is None else {"Authorization": f"Bearer {api_key}"}


def address(base_url: str) -> httpx.URL:
    """The URL of the service. Raises ValueError where it has no form of a URL."""
    try:
        return httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise ValueError(f"base_url: {error}") from error
