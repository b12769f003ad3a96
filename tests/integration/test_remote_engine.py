"""Generation by a real vLLM server on loopback, through its OpenAI-compatible API."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from contract.reward_models import SERVED
from laserve.generation.prompts import render
from laserve.models.tokenizer import FolderTokenizer
from laserve.types import Document, Request, Sampling
from processes import serving

pytestmark = pytest.mark.engine

#: Of the server's model.
MAX_MODEL_LEN = 2048


@pytest.fixture(scope="module")
def client(chat_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("remote")
    env = {
        "LASERVE_DATA_DIR": str(folder),
        "LASERVE_GENERATION__KIND": "openai",
        "LASERVE_GENERATION__URL": chat_server,
        "LASERVE_GENERATION__MODEL": SERVED,
        "LASERVE_ARMS": '[{"name": "loglik", "kind": "loglik"}]',
    }
    with serving(folder / "log", env=env, timeout_s=120) as server:
        yield server.client


def test_a_question_is_answered_as_the_remote_model_answers_it(
    client: httpx.Client, chat_server: str, language_model: Path
) -> None:
    question, text = "when was the bridge of orrin opened", "The bridge of Orrin was opened in 1907."
    answer = client.post(
        "/generate",
        json={
            "question": question,
            "documents": [{"title": "Orrin", "text": text}],
            "n": 1,
            "temperature": 0,
            "max_tokens": 16,
        },
    ).json()

    request = Request(
        question=question,
        documents=(Document(title="Orrin", text=text),),
        sampling=Sampling(n=1, temperature=0.0, top_p=1.0, max_tokens=16),
        timeout_s=60.0,
    )
    prompt = asyncio.run(render(request, FolderTokenizer(str(language_model)), MAX_MODEL_LEN))
    body = {"model": SERVED, "prompt": list(prompt.token_ids), "temperature": 0, "max_tokens": 16}
    said = httpx.post(f"{chat_server}/v1/completions", json=body, timeout=60).json()["choices"][0]["text"]
    assert said.strip().startswith(answer["text"])
    assert answer["text"]
    assert answer["usage"]["prompt_tokens"] == len(prompt.token_ids)
    assert all(candidate["logprob"] < 0 < candidate["tokens"] for candidate in answer["candidates"])
    feedback = {"decision_id": answer["decision_id"], "references": ["1907"]}
    assert client.post("/feedback", json=feedback).json()["status"] == "recorded"


def test_messages_go_through_the_remote_model_s_chat_template(client: httpx.Client) -> None:
    messages = [{"role": "user", "content": "Say hello."}]
    answer = client.post("/generate", json={"messages": messages, "n": 2, "max_tokens": 8}).json()
    # The template adds a system turn and the marks of turns to the three words.
    assert answer["usage"]["prompt_tokens"] > 10
    assert len(answer["candidates"]) == 2


def test_documents_are_cut_to_the_length_that_the_remote_server_tells(client: httpx.Client) -> None:
    documents = [{"text": "Sheep eat grass on the hills of Orrin. " * 500}]
    body = {
        "question": "what do sheep eat",
        "documents": documents,
        "n": 1,
        "temperature": 0,
        "max_tokens": 16,
    }
    answer = client.post("/generate", json=body).json()
    assert answer["truncated"]
    assert answer["usage"]["prompt_tokens"] <= MAX_MODEL_LEN - 16


def test_a_request_out_of_time_stops_running_at_the_remote_server(
    client: httpx.Client, chat_server: str
) -> None:
    answer = client.post("/generate", json={"prompt": "Once", "n": 8, "max_tokens": 1500, "timeout_s": 0.5})
    assert answer.status_code == 504
    deadline = time.monotonic() + 30
    while not any(
        line.startswith("vllm:num_requests_running") and line.endswith(" 0.0")
        for line in httpx.get(f"{chat_server}/metrics").text.splitlines()
    ):
        assert time.monotonic() < deadline, "the aborted request still runs"
        time.sleep(0.2)  # between two looks at a real process
