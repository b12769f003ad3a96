"""A small vLLM server over real HTTP: the endpoints that laserve uses, failures on demand.

A token is a byte. Candidate i of every completion has the tokens of `pieces`; the choices of one completion
arrive interleaved, token by token, and end in another order than they began.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import uvicorn

from contract import vllm_scoring

MODEL = "tiny"

Failure = Literal[
    "models 500",
    "models page",
    "models without length",
    "tokenize 500",
    "tokenize 400",
    "completions 500",
    "completions 400",
    "error chunk",
    "broken line",
    "empty object",
    "list",
    "nameless choice",
    "short of a candidate",
    "connection lost",
    "held",
]


def pieces(index: int, max_tokens: int, stop: list[str]) -> tuple[list[str], str]:
    """The texts of a candidate's tokens and its finish reason; a stop token has no text."""
    words = [" Ada", " Thorn", f" {index}", "\u2028", "\x85é", " 🕰", "\n", " more"][: 2 + 3 * index % 7]
    for end in stop:
        if end in words:
            words = words[: words.index(end)]
    whole = [*words, ""]
    return (whole, "stop") if len(whole) <= max_tokens else (whole[:max_tokens], "length")


def logprob(index: int, token: int) -> float:
    return -0.1 * (token + 1) - 0.01 * index


@dataclass
class VllmServer:
    """The server's state, as tests read and set it."""

    max_model_len: int = vllm_scoring.MAX_MODEL_LEN
    failure: Failure | None = None
    url: str = ""
    #: Bodies of the completion requests.
    completions: list[dict[str, Any]] = field(default_factory=list)
    authorizations: set[str | None] = field(default_factory=set)
    #: Completions under way.
    running: int = 0
    #: Completions whose client left before the end.
    abandoned: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def idle(self) -> None:
        """Wait until no completion is under way."""
        while self.running:
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), 10)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        raw = b""
        while (message := await receive()).get("more_body"):
            raw += message["body"]
        body = json.loads((raw + message["body"]) or "null")
        self.authorizations.add(dict(scope["headers"]).get(b"authorization", b"").decode() or None)
        answer = {
            "/v1/models": self._models,
            "/tokenize": self._tokenize,
            "/v1/completions": self._complete,
        }.get(scope["path"])
        if answer is not None:
            await answer(body, receive, send)
        elif (scores := vllm_scoring.ENDPOINTS.get(scope["path"])) is not None:
            await _reply(send, *scores(body))
        else:
            await _reply(send, 404, {"detail": "Not Found"})

    async def _models(self, body: Any, receive: Any, send: Any) -> None:
        card = {"id": MODEL, "object": "model", "max_model_len": self.max_model_len}
        match self.failure:
            case "models 500":
                await _reply(send, 500, {"error": {"message": "told to fail", "code": 500}})
            case "models page":
                await _reply(send, 200, "<html>welcome</html>")
            case "models without length":
                del card["max_model_len"]
                await _reply(send, 200, {"object": "list", "data": [card]})
            case _:
                await _reply(send, 200, {"object": "list", "data": [card]})

    async def _tokenize(self, body: Any, receive: Any, send: Any) -> None:
        if self.failure in ("tokenize 500", "tokenize 400"):
            status = int(self.failure.removeprefix("tokenize "))
            await _reply(send, status, {"error": {"message": "told to refuse", "code": status}})
            return
        assert body["model"] == MODEL
        text = body["prompt"] if "prompt" in body else "".join(f"{m['content']}\n" for m in body["messages"])
        tokens = list(text.encode())
        await _reply(send, 200, {"count": len(tokens), "max_model_len": self.max_model_len, "tokens": tokens})

    async def _complete(self, body: Any, receive: Any, send: Any) -> None:
        self.completions.append(body)
        if self.failure in ("completions 500", "completions 400"):
            status = int(self.failure.removeprefix("completions "))
            await _reply(send, status, {"error": {"message": "told to refuse", "code": status}})
            return
        self.running += 1
        work = asyncio.create_task(self._stream(body, send))
        gone = asyncio.create_task(receive())  # the next message can only tell that the client left
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                self.abandoned += 1
        finally:
            gone.cancel()
            work.cancel()
            outcome = await asyncio.gather(work, gone, return_exceptions=True)
            self.running -= 1
            self.changed.set()
        if isinstance(outcome[0], _LoseConnection):
            raise outcome[0]

    async def _stream(self, body: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        finished = 0
        for chunk in _interleaved(body):
            finished += chunk["choices"][0]["finish_reason"] is not None
            data = json.dumps(chunk, ensure_ascii=False)
            if finished == 1 and chunk["choices"][0]["finish_reason"] is None:
                match self.failure:
                    case "held":
                        await asyncio.Event().wait()
                    case "connection lost":
                        raise _LoseConnection
                    case "error chunk":
                        data = json.dumps({"error": {"message": "told to fail", "code": 500}})
                    case "broken line":
                        data = data[:20]
                    case "empty object":
                        data = "{}"
                    case "list":
                        data = "[]"
                    case "nameless choice":
                        data = '{"choices": [{"text": " Ada", "finish_reason": null}]}'
                    case "short of a candidate":
                        break
            await send(
                {"type": "http.response.body", "body": f"data: {data}\n\n".encode(), "more_body": True}
            )
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


class _LoseConnection(Exception):
    """Makes uvicorn drop the connection in the middle of an answer."""


def _interleaved(body: Any) -> list[dict[str, Any]]:
    """Chunks of a completion: the first token of every choice, the second of every choice, and so on."""
    choices = [pieces(index, body["max_tokens"], body.get("stop", [])) for index in range(body["n"])]
    chunks = []
    for token in range(max(len(texts) for texts, _ in choices)):
        for index, (texts, reason) in enumerate(choices):
            if token < len(texts):
                choice = {
                    "index": index,
                    "text": texts[token],
                    "logprobs": {
                        "text_offset": [0],
                        "token_logprobs": [logprob(index, token)],
                        "tokens": [texts[token]],
                        "top_logprobs": [{texts[token]: logprob(index, token)}],
                    },
                    "finish_reason": reason if token == len(texts) - 1 else None,
                }
                chunks.append(
                    {"id": "cmpl-1", "object": "text_completion", "model": MODEL, "choices": [choice]}
                )
    return chunks


async def _reply(send: Any, status: int, body: Any) -> None:
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(raw)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": raw})


@asynccontextmanager
async def vllm_server() -> AsyncIterator[VllmServer]:
    """A server on a port of its own, in this event loop."""
    state = VllmServer()
    config = uvicorn.Config(
        state,
        host="127.0.0.1",
        port=0,
        log_config=None,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    listener = config.bind_socket()
    state.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    # Not `serve`, which takes the signals and looks only now and then whether it shall end.
    await server.startup(sockets=[listener])
    try:
        yield state
    finally:
        await server.shutdown(sockets=[listener])
