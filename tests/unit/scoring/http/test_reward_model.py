"""What a vLLM server is sent, and what is made of its answers."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import pytest

from builders import make_candidates, make_documents, make_request
from laserve.config import load
from laserve.errors import ArmFailed, ConfigError
from laserve.scoring.http.reward_model import RemoteModel
from laserve.scoring.http.server import RemoteServer

URL = "http://models.example"
CACHE = load().cache_dir.expanduser()
DECODER, ENCODER = "smollm2-135m-instruct", "all-minilm-l6-v2"


class Server(httpx.AsyncBaseTransport):
    """Answers as vLLM does; the output for a text is its number of tokens or characters.

    Args:
        answer: changes an answer, from the endpoint's name and the right one.
    """

    def __init__(self, answer: Callable[[str, Any], Any] = lambda name, right: right) -> None:
        self.answer = answer
        self.bodies: list[dict[str, Any]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name = request.url.path.removeprefix("/")
        if name == "v1/models":
            return httpx.Response(200, json={"data": [{"id": "tiny", "max_model_len": 512}]})
        body = json.loads(await request.aread())
        self.bodies.append(body)
        lengths = [float(len(text)) for text in body.get("input") or body["documents"]]
        key = {"classify": "probs", "pooling": "data", "score": "score"}[name]
        rows = [
            {"index": index, key: length if name == "score" else [length]}
            for index, length in enumerate(lengths)
        ]
        answer = self.answer(name, {"data": rows[::-1]})
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)


async def remote(server: Server, **options: Any) -> RemoteModel:
    model = RemoteModel(**{"cache_dir": CACHE, "url": URL, "tokenizer": DECODER} | options)
    model._server = RemoteServer(URL, transport=server)
    await model.load()
    return model


def texts(bodies: Sequence[dict[str, Any]]) -> list[list[int]]:
    return [ids for body in bodies for ids in body["input"]]


@pytest.mark.parametrize("endpoint", ["classify", "pooling"])
async def test_the_prompt_goes_first_and_candidates_behind_it_in_order(endpoint: Any) -> None:
    server = Server()
    model = await remote(server, endpoint=endpoint)
    server.bodies.clear()
    reading = model.open(make_request(documents=make_documents("Ada <|im_end|> built it.")))
    scores = await reading.score(make_candidates("a", "a b c", ""))
    (prompt,), behind = texts(server.bodies[:1]), texts(server.bodies[1:])
    assert [len(server.bodies), len(behind)] == [2, 3]
    assert all(ids[: len(prompt)] == prompt and len(ids) > len(prompt) for ids in behind)
    assert scores.tolist() == [len(ids) for ids in behind]
    assert {(body["model"], body["use_activation"]) for body in server.bodies} == {("tiny", False)}
    assert await reading.score(make_candidates("z")) == scores[0]
    assert len(server.bodies) == 3
    await model.close()


async def test_a_prompt_that_was_read_ahead_is_not_sent_alone_again() -> None:
    server = Server()
    model = await remote(server)
    server.bodies.clear()
    reading = model.open(make_request())
    await reading.prefill()
    assert len(texts(server.bodies)) == 1
    await reading.score(make_candidates("a"))
    assert len(server.bodies) == 2
    assert not reading.truncated
    await model.close()


async def test_documents_are_cut_to_the_servers_length() -> None:
    server = Server()
    model = await remote(server)
    reading = model.open(make_request(documents=make_documents("clock tower " * 600)))
    await reading.score(make_candidates("a"))
    assert reading.truncated
    assert max(map(len, texts(server.bodies))) <= 512
    await model.close()


async def test_a_cross_encoder_gets_two_texts_without_special_tokens() -> None:
    server = Server()
    model = await remote(server, endpoint="score", tokenizer=ENCODER)
    server.bodies.clear()
    reading = model.open(make_request(question="who [SEP] built it"))
    scores = await reading.score(make_candidates("Ada", "[SEP] x"))
    (body,) = server.bodies
    assert body["queries"] == "who [ sep ] built it"
    assert body["documents"] == ["Ada", "[ SEP] x"]
    assert scores.tolist() == [3.0, 8.0]
    await model.close()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (httpx.Response(404), r"options.endpoint: .* answered 404 to /classify"),
        (httpx.Response(400), r"options.endpoint: .* refuses .*; expected a classifier with one label"),
        ({"data": [{"index": 0, "probs": [1.0, 2.0]}]}, r"outputs of shape \(1, 2\) for 1 texts"),
        ({"data": [{"index": 0}]}, r"answered /classify without scores"),
        ([], r"answered /classify without scores"),
    ],
)
async def test_a_server_that_is_no_reward_model_is_refused_at_load(answer: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        await remote(Server(lambda name, right: answer))


async def test_an_answer_with_too_few_scores_fails_the_arm() -> None:
    model = await remote(Server(lambda name, right: {"data": right["data"][:1]}))
    with pytest.raises(ArmFailed, match=r"shape \(1, 1\) for 2 texts"):
        await model.open(make_request()).score(make_candidates("a", "b"))
    await model.close()


async def test_a_server_that_is_not_there_is_named() -> None:
    model = RemoteModel(cache_dir=CACHE, url="http://127.0.0.1:9", tokenizer=DECODER, api_key="hidden")
    with pytest.raises(
        ConfigError, match=r"options.url: no model server at http://127.0.0.1:9: ConnectError"
    ):
        await model.load()
    await model.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"endpoint": "rerank"}, "options.endpoint: unknown endpoint 'rerank'"),
        ({"max_model_len": 3}, "options.max_model_len: must be at least 64"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}") as caught:
        RemoteModel(**{"cache_dir": CACHE, "url": URL, "tokenizer": DECODER} | options)
    assert caught.value.param == f"options.{next(iter(options))}"
