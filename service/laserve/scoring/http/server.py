"""The HTTP client of a model server, shared by the kinds that use one."""

from collections.abc import Mapping
from typing import Any

import httpx

from laserve.config.secrets import public_text
from laserve.errors import ArmFailed, ConfigError, Unscorable

_CONNECT_S = 10.0
#: Statuses with which a server refuses the request.
_REFUSED = (400, 413, 422)


class RemoteServer:
    """A client that posts JSON. The key is never in a message.

    Args:
        url: URL of the server, with or without ``/v1``.
        api_key: key that is sent as a bearer token.
        transport: transport for tests; by default the network.
    """

    def __init__(
        self, url: str, *, api_key: str | None = None, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, TypeError):
            raise ConfigError.at("options.url", "is not a URL") from None  # the cause may quote a password
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ConfigError.at("options.url", "must begin with http:// or https:// and name a host")
        if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
            # httpx would raise an error that quotes the key, at each request.
            raise ConfigError.at(
                "options.api_key",
                "contains a line break or another character that is not allowed in an HTTP header",
            )
        #: The URL without secrets, for messages.
        self.name = public_text(str(parsed))
        self._client = httpx.AsyncClient(
            base_url=url.rstrip("/").removesuffix("/v1"),
            headers={} if api_key is None else {"Authorization": f"Bearer {api_key}"},
            timeout=httpx.Timeout(None, connect=_CONNECT_S),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            transport=transport,
        )

    async def find(self, model: str | None) -> tuple[str, Mapping[str, Any]]:
        """The name of the requested model, by default of the only one, and the server's card of it.

        Raises:
            ConfigError: the server does not answer, refuses the key, or does not serve the model.
        """
        try:
            answer = await self._client.get("/v1/models", timeout=_CONNECT_S)
            if answer.status_code in (401, 403):
                raise ConfigError.at("options.api_key", f"{self.name} refuses this key")
            if answer.is_error:
                raise ConfigError.at(
                    "options.url", f"{self.name} answered {answer.status_code} to /v1/models"
                )
            served = {str(card["id"]): card for card in answer.json()["data"]}
        except httpx.HTTPError as error:
            raise ConfigError.at(
                "options.url", f"no model server at {self.name}: {_text_of(error)}"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError.at("options.url", f"{self.name} is not an OpenAI-compatible server") from error
        names = ", ".join(served) or "none"
        if model is None and len(served) != 1:
            raise ConfigError.at(
                "options.model", f"{self.name} does not serve exactly one model; name one of: {names}"
            )
        chosen = next(iter(served)) if model is None else model
        if chosen not in served:
            raise ConfigError.at(
                "options.model", f"{self.name} does not serve {chosen!r}; it serves: {names}"
            )
        return chosen, served[chosen]

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Post JSON and return the JSON of the answer.

        Raises:
            Unscorable: the server refuses this request.
            ArmFailed: the server does not answer, or answers with an error or without JSON.
        """
        try:
            answer = await self._client.post(path, json=body)
        except httpx.HTTPError as error:
            raise ArmFailed(f"{self.name} does not answer: {_text_of(error)}") from error
        if answer.status_code in _REFUSED:
            raise Unscorable(f"{self.name} refuses the request: {answer.status_code} to {path}")
        if answer.is_error:
            raise ArmFailed(f"{self.name} answered {answer.status_code} to {path}")
        try:
            return answer.json()
        except ValueError as error:
            raise ArmFailed(f"{self.name} did not answer {path} with JSON") from error

    async def close(self) -> None:
        await self._client.aclose()


def _text_of(error: httpx.HTTPError) -> str:
    return public_text(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
