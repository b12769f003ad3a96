"""Generation by a real vLLM server on loopback, through its OpenAI-compatible API."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from laserve.config import load
from laserve.models import prepare
from processes import serving

pytestmark = pytest.mark.engine

MAX_MODEL_LEN = 2048


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def vllm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What `vllm serve` runs; the CPU build's own command does not start, its module does."""
    model = prepare("smollm2-135m-instruct", load().cache_dir.expanduser())
    log = tmp_path_factory.mktemp("vllm") / "log"
    url = f"http://127.0.0.1:{free_port()}"
    arguments = ["--model", str(model), "--served-model-name", "smol", "--port", url.rpartition(":")[2]]
    arguments += [
        "--enforce-eager",
        "--max-model-len",
        str(MAX_MODEL_LEN),
        "--kv-cache-memory-bytes",
        str(2**29),
    ]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *arguments],
            stdout=out,
            stderr=out,
            env=os.environ | {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"},
        )
    try:
        deadline = time.monotonic() + 300
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            try:
                if httpx.get(f"{url}/health").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.5)  # between two questions to a real process
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@pytest.fixture(scope="module")
def client(vllm_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("remote")
    env = {
        "LASERVE_DATA_DIR": str(folder),
        "LASERVE_GENERATION__KIND": "openai",
        "LASERVE_GENERATION__URL": vllm_server,
        "LASERVE_GENERATION__MODEL": "smol",
    }
    with serving(folder / "log", env=env, timeout_s=120) as server:
        yield server.client


def test_a_question_is_answered_by_the_remote_server(client: httpx.Client) -> None:
    body = {
        "question": "when was the bridge of orrin opened",
        "documents": [{"title": "Orrin", "text": "The bridge of Orrin was opened in 1907 by the mayor."}],
        "n": 4,
        "temperature": 0.3,
    }
    answer = client.post("/generate", json=body).json()
    assert "1907" in answer["text"]
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
    client: httpx.Client, vllm_server: str
) -> None:
    answer = client.post("/generate", json={"prompt": "Once", "n": 8, "max_tokens": 1500, "timeout_s": 0.5})
    assert answer.status_code == 504
    deadline = time.monotonic() + 30
    while not any(
        line.startswith("vllm:num_requests_running") and line.endswith(" 0.0")
        for line in httpx.get(f"{vllm_server}/metrics").text.splitlines()
    ):
        assert time.monotonic() < deadline, "the aborted request still runs"
        time.sleep(0.2)  # between two looks at a real process
