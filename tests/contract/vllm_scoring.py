"""The endpoints of a vLLM server that reward models use, in small: every score is a hash of its input."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

#: Longest input in tokens.
MAX_MODEL_LEN = 4096

#: Status and body of an answer.
Answer = tuple[int, dict[str, Any]]


def score(value: Any) -> float:
    """A number in [0, 1) for each JSON value."""
    digest = hashlib.sha256(json.dumps(value).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _classify(body: Any, key: str) -> Answer:
    """Outputs of a classifier with one label; they come in no order that a client may rely on."""
    assert body["use_activation"] is False
    if max(map(len, body["input"])) > MAX_MODEL_LEN:
        return 400, {"error": {"message": "too long", "code": 400}}
    outputs = [{"index": index, key: [score(ids)]} for index, ids in enumerate(body["input"])]
    return 200, {"object": "list", "data": outputs[::-1]}


def _score(body: Any) -> Answer:
    pairs = [[body["queries"], document] for document in body["documents"]]
    outputs = [{"index": index, "score": score(pair)} for index, pair in enumerate(pairs)]
    return 200, {"object": "list", "data": outputs[::-1]}


def _chat(body: Any) -> Answer:
    """A reply that is one of the choices that the call allows."""
    choices = body["structured_outputs"]["choice"]
    content = choices[int(score(body["messages"]) * len(choices))]
    message = {"role": "assistant", "content": content}
    return 200, {"object": "chat.completion", "choices": [{"index": 0, "message": message}]}


#: Path -> the answer to a body.
ENDPOINTS: dict[str, Callable[[Any], Answer]] = {
    "/classify": lambda body: _classify(body, "probs"),
    "/pooling": lambda body: _classify(body, "data"),
    "/score": _score,
    "/v1/chat/completions": _chat,
}
