"""Real models behind the kinds that have one: small, random, but of the form that users bring."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

import tiny
from contract.vllm_server import VllmServer, vllm_server
from laserve.config import load
from laserve.models.packaged import prepare

#: Seconds that vLLM's server may take to start.
START_S = 240.0
#: Name of the model of such a server.
SERVED = "tiny"
ATTRIBUTES = ("helpfulness", "correctness", "verbosity")
#: Kind `judge` on a model that would not answer with a number by itself.
GRADES = {"structured_outputs": {"choice": [str(grade) for grade in range(1, 11)]}}


def save_classifier(base: Path, folder: Path, *, labels: int = 1) -> Path:
    """The model of `base` with a head drawn from a fixed seed."""
    import torch
    import transformers

    torch.manual_seed(tiny.SEED)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=labels, dtype=torch.float32
    )
    model.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


def save_adapter(base: Path, folder: Path, task: str, seed: int = tiny.SEED) -> Path:
    """A LoRA adapter that changes what the model says; for SEQ_CLS with a head."""
    import peft
    import torch
    import transformers

    torch.manual_seed(seed)
    auto = "AutoModelForSequenceClassification" if task == "SEQ_CLS" else "AutoModelForCausalLM"
    labels = {"num_labels": 1} if task == "SEQ_CLS" else {}
    model = getattr(transformers, auto).from_pretrained(base, dtype=torch.float32, **labels)
    config = peft.LoraConfig(
        task_type=task, r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False
    )
    peft.get_peft_model(model, config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.decoder(tmp_path_factory.mktemp("language-model"), hidden=128)


@pytest.fixture(scope="session")
def classifier(language_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(language_model, tmp_path_factory.mktemp("classifier"))


@pytest.fixture(scope="session")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = prepare("all-minilm-l6-v2", load().cache_dir.expanduser())
    return save_classifier(base, tmp_path_factory.mktemp("cross-encoder"))


@pytest.fixture(scope="session")
def decoder_arm(classifier: Path) -> dict[str, Any]:
    return {"model": str(classifier), "dtype": "float32", "batch_tokens": 256}


@pytest.fixture(scope="session")
def encoder_arm(cross_encoder: Path) -> dict[str, Any]:
    return {"model": str(cross_encoder), "batch_tokens": 1024}


@pytest.fixture(scope="session")
def adapter_arm(language_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    adapter = save_adapter(language_model, tmp_path_factory.mktemp("adapter"), "SEQ_CLS")
    return {"model": str(language_model), "adapter": str(adapter), "dtype": "float32"}


@pytest.fixture(scope="session")
def vllm_arm(adapter_arm: dict[str, Any]) -> dict[str, Any]:
    """The same model and adapter on a real engine."""
    engine_args = {"dtype": "float32", "kv_cache_memory_bytes": 2**27, "max_num_batched_tokens": 1024}
    return {"model": adapter_arm["model"], "adapter": adapter_arm["adapter"], "engine_args": engine_args}


@pytest.fixture(scope="session")
def implicit_arm(language_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    adapter = save_adapter(language_model, tmp_path_factory.mktemp("tuned"), "CAUSAL_LM")
    return {"model": str(language_model), "adapter": str(adapter), "dtype": "float32"}


@pytest.fixture(scope="session")
def attributes_arm(language_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("attributes")
    save_classifier(language_model, folder, labels=len(ATTRIBUTES))
    return {"model": str(folder), "attributes": list(ATTRIBUTES), "dtype": "float32"}


@pytest.fixture(scope="session")
def vllm_servers(
    classifier: Path, language_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """URLs of a vLLM server that classifies and of one that generates; they start together, to save time."""
    folders = [tmp_path_factory.mktemp(name) for name in ("classifier-server", "chat-server")]
    with (
        vllm_serve(classifier, folders[0], "--runner", "pooling") as classifies,
        vllm_serve(language_model, folders[1]) as generates,
    ):
        yield classifies.ready(), generates.ready()


@pytest.fixture(scope="session")
def classifier_server(vllm_servers: tuple[str, str]) -> str:
    """URL of a vLLM server that classifies."""
    return vllm_servers[0]


@pytest.fixture(scope="session")
def chat_server(vllm_servers: tuple[str, str]) -> str:
    """URL of a vLLM server that generates with `language_model`."""
    return vllm_servers[1]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def small_server() -> AsyncIterator[VllmServer]:
    """A small server in place of the real ones."""
    async with vllm_server() as server:
        yield server


@pytest.fixture(scope="module")
def remote_arm(small_server: VllmServer, classifier: Path) -> dict[str, Any]:
    return {"url": small_server.url, "tokenizer": str(classifier)}


@pytest.fixture(scope="module")
def judge_arm(small_server: VllmServer) -> dict[str, Any]:
    return {"url": small_server.url, "extra_body": GRADES}


@pytest.fixture(scope="session")
def served_remote_arm(classifier_server: str, classifier: Path) -> dict[str, Any]:
    """A classifier on a real server."""
    return {"url": classifier_server, "tokenizer": str(classifier)}


@pytest.fixture(scope="session")
def served_judge_arm(chat_server: str) -> dict[str, Any]:
    """A judge on a real server."""
    return {"url": chat_server, "extra_body": GRADES}


@pytest.fixture(scope="module")
def python_arm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A distribution with reward models, installed as pip leaves one behind, and gone with these tests."""
    site = tmp_path_factory.mktemp("site")
    plugin = Path(__file__).with_name("plugin.py")
    (site / "laserve_plugin_of_the_tests.py").write_text(plugin.read_text())
    info = site / "laserve_plugin_of_the_tests-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: laserve-plugin-of-the-tests\nVersion: 1.0\n")
    entry = "laserve_plugin_of_the_tests"
    names = {"brevity": "Brevity", "ahead": "Ahead", "opening": "Opening", "broken": "Missing", "odd": "Odd"}
    points = [f"{name} = {entry}:{value}" for name, value in names.items()]
    (info / "entry_points.txt").write_text("\n".join(["[laserve.reward_models]", *points, ""]))
    sys.path.insert(0, str(site))
    yield {"name": "brevity", "unit": "words"}
    sys.path.remove(str(site))


@pytest.fixture(scope="module")
def python_ahead_arm(python_arm: dict[str, Any]) -> dict[str, Any]:
    """A plugin that reads prompts ahead, known by their request."""
    return python_arm | {"name": "ahead"}


@pytest.fixture(scope="module")
def python_opening_arm(python_arm: dict[str, Any]) -> dict[str, Any]:
    """A plugin with readings of its own."""
    return python_arm | {"name": "opening"}


@dataclass(frozen=True)
class VllmProcess:
    """vLLM's own server, as a process."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def ready(self) -> str:
        """Its URL, once it serves."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/health").status_code == 200:
                    return self.url
            except httpx.TransportError:
                pass  # not listening yet
            time.sleep(0.2)  # between two questions to a real process; nothing is synchronised by it
        raise AssertionError(f"vLLM's server did not start:\n{self.log.read_text(errors='replace')[-4000:]}")


@contextmanager
def vllm_serve(model: Path, folder: Path, *arguments: str) -> Iterator[VllmProcess]:
    """A server on a free port that begins to start, stopped with its engine when the block ends.

    It is what `vllm serve` runs: the CPU build's own command does not start, its module does.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)]
    command += ["--served-model-name", SERVED, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--dtype", "float32", "--enforce-eager", "--kv-cache-memory-bytes", str(2**28), *arguments]
    log = folder / "log"
    env = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    }
    with log.open("ab") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=env, start_new_session=True)
    try:
        yield VllmProcess(process, f"http://127.0.0.1:{port}", log)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with suppress(ProcessLookupError):  # its engine has gone with it
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
