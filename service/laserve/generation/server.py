"""The kind ``openai``: a generator on a vLLM server, through its OpenAI-compatible API."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import httpx_sse

from laserve.config import GenerationSettings
from laserve.config.secrets import public_text
from laserve.errors import ConfigError, EngineError, InvalidRequest, NotReady
from laserve.generation.base import CONCURRENCY, Rendered, check_finish
from laserve.generation.prompts import render
from laserve.types import Candidate, Request

_CONNECT_S = 10.0
#: Seconds between two checks of the server's health.
_LOOK_EVERY_S = 2.0


class RemoteTokenizer:
    """The server's own tokenizer, through its endpoint ``/tokenize``.

    The endpoint has no option to read special tokens as plain characters, so ``literal`` has no effect.
    """

    def __init__(self, client: httpx.AsyncClient, model: str) -> None:
        self._client = client
        self._model = model

    async def encode(self, text: str, *, literal: bool = False) -> Sequence[int]:
        return await self._tokenize({"prompt": text, "add_special_tokens": False}) if text else ()

    async def encode_prompt(self, text: str) -> Sequence[int]:
        return await self._tokenize({"prompt": text})

    async def encode_chat(self, messages: Sequence[dict[str, str]]) -> Sequence[int]:
        return await self._tokenize({"messages": list(messages), "add_generation_prompt": True})

    async def _tokenize(self, body: dict[str, Any]) -> Sequence[int]:
        try:
            answer = await self._client.post("/tokenize", json={"model": self._model} | body)
        except httpx.HTTPError as error:
            raise EngineError(f"the vLLM server does not answer: {_text_of(error)}") from error
        if answer.status_code in (400, 422):
            raise InvalidRequest(f"the vLLM server refused the request: {_reason(answer)}")
        if answer.is_error:
            raise EngineError(f"the vLLM server answered {answer.status_code} to /tokenize")
        tokens: list[int] = answer.json()["tokens"]
        return tokens


@dataclass(kw_only=True)
class _Partial:
    """A candidate that is still being received."""

    text: list[str] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)


class OpenAIGenerator:
    """A generator that samples with a vLLM server.

    Prompts are rendered here and sent as token ids to ``/v1/completions``.

    Args:
        settings: the section ``generation``, with ``url``.
        transport: transport for tests; by default the network.
    """

    def __init__(
        self, settings: GenerationSettings, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.model = settings.model
        self.max_model_len = 0
        self.concurrency = CONCURRENCY
        key = settings.api_key
        self._client = httpx.AsyncClient(
            base_url=(settings.url or "").rstrip("/").removesuffix("/v1"),
            headers={"Authorization": f"Bearer {key.get_secret_value()}"} if key else {},
            timeout=httpx.Timeout(None, connect=_CONNECT_S),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            transport=transport,
        )
        #: The URL without secrets, for messages.
        self._name = public_text(str(self._client.base_url))
        self._requested_len = settings.max_model_len
        self._tokenizer = RemoteTokenizer(self._client, self.model)
        self._problem: str | None = None
        self._watcher: asyncio.Task[None] | None = None

    async def start(self) -> None:
        try:
            answer = await self._client.get("/v1/models", timeout=_CONNECT_S)
            if answer.status_code in (401, 403):
                raise ConfigError.at("generation.api_key", f"{self._name} refuses this key")
            answer.raise_for_status()
            served = {model["id"]: model for model in answer.json()["data"]}
        except httpx.HTTPError as error:
            raise EngineError(f"generation.url: no vLLM server at {self._name}: {_text_of(error)}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError.at(
                "generation.url", f"{self._name} is not an OpenAI-compatible server"
            ) from error
        if self.model not in served:
            raise ConfigError.at(
                "generation.model",
                f"the server does not serve {self.model!r}; it serves: {', '.join(served)}",
            )
        length = served[self.model].get("max_model_len")
        if length is None:
            raise ConfigError.at(
                "generation.url", "the server does not report max_model_len; expected a vLLM server"
            )
        self.max_model_len = min(int(length), self._requested_len or int(length))
        self._watcher = asyncio.create_task(self._watch(), name="watch-vllm-server")

    async def close(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        await self._client.aclose()

    def check(self) -> None:
        if not self.max_model_len:
            raise NotReady("the vLLM server has not been reached yet")
        if self._problem is not None:
            raise EngineError(self._problem)

    async def _watch(self) -> None:
        """Check the server's health regularly, also while there are no requests."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            self._problem = await self._health_problem()

    async def _health_problem(self) -> str | None:
        try:
            answer = await self._client.get("/health", timeout=_CONNECT_S)
        except httpx.HTTPError as error:
            return f"the vLLM server does not answer: {_text_of(error)}"
        return (
            f"the vLLM server is unhealthy: it answered {answer.status_code} to /health"
            if answer.is_server_error
            else None
        )

    def retire(self) -> None: ...

    async def render(self, request: Request) -> Rendered:
        return await render(request, self._tokenizer, self.max_model_len)

    async def stream(self, rendered: Rendered) -> AsyncIterator[Candidate]:
        sampling = rendered.sampling
        body: dict[str, Any] = {
            "model": self.model,
            "prompt": list(rendered.token_ids),
            "n": sampling.n,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "logprobs": 0,
            "stream": True,
        }
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if sampling.seed is not None:
            body["seed"] = sampling.seed
        partial: dict[int, _Partial] = {}
        finished = 0
        try:
            async with httpx_sse.aconnect_sse(self._client, "POST", "/v1/completions", json=body) as source:
                await _check(source.response)
                async for event in source.aiter_sse():
                    if event.data == "[DONE]":
                        break
                    for choice in _choices(event.data):
                        part = partial.setdefault(choice["index"], _Partial())
                        part.text.append(choice["text"])
                        part.logprobs += (choice.get("logprobs") or {}).get("token_logprobs") or []
                        if choice.get("finish_reason"):
                            finished += 1
                            yield _candidate(choice, part, strip=rendered.strip)
        except (httpx.HTTPError, httpx_sse.SSEError) as error:
            raise EngineError(f"the vLLM server broke the connection: {_text_of(error)}") from error
        if finished < sampling.n:
            raise EngineError(f"the vLLM server sent {finished} of {sampling.n} candidates")


def _text_of(error: Exception) -> str:
    return public_text(repr(error))


async def _check(response: httpx.Response) -> None:
    if response.is_error:
        await response.aread()
        kind = InvalidRequest if response.status_code in (400, 422) else EngineError
        raise kind(f"the vLLM server answered {response.status_code}: {_reason(response)}")


def _choices(data: str) -> list[dict[str, Any]]:
    try:
        chunk = json.loads(data)
        if "error" in chunk:
            raise EngineError(f"the vLLM server failed: {chunk['error'].get('message', 'no reason given')}")
        choices: list[dict[str, Any]] = chunk["choices"]
        if not all({"index", "text"} <= choice.keys() for choice in choices):
            raise EngineError("the vLLM server sent a choice without index or text")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError("the vLLM server sent a line that is not a completion") from error
    return choices


def _candidate(choice: dict[str, Any], part: _Partial, *, strip: bool) -> Candidate:
    text = "".join(part.text)
    return Candidate(
        index=choice["index"],
        text=text.strip() if strip else text,
        finish_reason=check_finish(choice["finish_reason"]),
        tokens=len(part.logprobs),
        logprob=math.fsum(part.logprobs),
    )


def _reason(response: httpx.Response) -> str:
    try:
        body = response.json()
        return str(body["error"]["message"] if "error" in body else body)
    except (ValueError, KeyError, TypeError):
        return response.text[:200]
