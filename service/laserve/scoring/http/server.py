"""A model server by URL: what the kinds that speak to one share."""

from collections.abc import Mapping
from typing import Any

import httpx

from laserve.config.secrets import public_text
from laserve.errors import ArmFailed, ConfigError, Unscorable

_CONNECT_S = 10.0
#: Statuses with which a server says that the request is at fault.
_REFUSED = (400, 413, 422)


class RemoteServer:
    """Posts JSON. The key is sent and never told.

    Args:
        url: with or without ``/v1``.
        api_key: sent as a bearer token.
        transport: for tests; by default the network.
    """

    def __init__(
        self, url: str, *, api_key: str | None = None, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, TypeError):
            raise ConfigError.at("options.url", "is none") from None  # what it says may quote a password
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ConfigError.at("options.url", "must begin with http:// or https:// and name a host")
        if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
            # httpx would say so with each request, and quote the key.
            raise ConfigError.at(
                "options.api_key", "has a line break or another character that no HTTP header may hold"
            )
        #: For messages.
        self.name = public_text(str(parsed))
        self._client = httpx.AsyncClient(
            base_url=url.rstrip("/").removesuffix("/v1"),
            headers={} if api_key is None else {"Authorization": f"Bearer {api_key}"},
            timeout=httpx.Timeout(None, connect=_CONNECT_S),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            transport=transport,
        )

    async def find(self, model: str | None) -> tuple[str, Mapping[str, Any]]:
        """Name of the model that is asked for, by default of the only one, and what the server says of it.

        Raises:
            ConfigError: there is no such server or model, or it refuses the key.
        """
        try:
            answer = await self._client.get("/v1/models", timeout=_CONNECT_S)
            if answer.status_code in (401, 403):
                raise ConfigError.at("options.api_key", f"{self.name} refuses it")
            if answer.is_error:
                raise ConfigError.at(
                    "options.url", f"{self.name} answered {answer.status_code} to /v1/models"
                )
            served = {str(card["id"]): card for card in answer.json()["data"]}
        except httpx.HTTPError as error:
            raise ConfigError.at("options.url", f"no model server at {self.name}: {_say(error)}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError.at("options.url", f"{self.name} is no OpenAI-compatible server") from error
        names = ", ".join(served) or "none"
        if model is None and len(served) != 1:
            raise ConfigError.at("options.model", f"{self.name} serves several models; name one of: {names}")
        chosen = next(iter(served)) if model is None else model
        if chosen not in served:
            raise ConfigError.at("options.model", f"{self.name} has no {chosen!r}; it has: {names}")
        return chosen, served[chosen]

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON that the server answers.

        Raises:
            Unscorable: the server refuses this request.
            ArmFailed: it does not answer, or not with JSON.
        """
        try:
            answer = await self._client.post(path, json=body)
        except httpx.HTTPError as error:
            raise ArmFailed(f"{self.name} does not answer: {_say(error)}") from error
        if answer.status_code in _REFUSED:
            raise Unscorable(f"{self.name} refuses the request: {answer.status_code} to {path}")
        if answer.is_error:
            raise ArmFailed(f"{self.name} answered {answer.status_code} to {path}")
        try:
            return answer.json()
        except ValueError as error:
            raise ArmFailed(f"{self.name} answered {path} with something else than JSON") from error

    async def close(self) -> None:
        await self._client.aclose()


def _say(error: httpx.HTTPError) -> str:
    return public_text(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
