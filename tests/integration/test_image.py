"""The image of the Dockerfile: every RUN line is run, and the service is started from the result.

No image is pulled: the base is Debian with its own Python, and every package is installed into it.
"""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path

import psutil
import pytest

import laserve
from integration.containers import Image, Images, debian, first_process, pip_settings
from integration.operation import sql
from processes import Server, wait_ready

pytestmark = [pytest.mark.image, pytest.mark.timeout(900)]  # the first test waits for the build

ROOT = Path(__file__).parents[2]
BASE = "docker.io/library/python:3.11-slim-bookworm"
#: The data volume.
DATA = "/var/lib/laserve"
UID = 10001


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Images]:
    """Buildah with the base."""
    folder = tmp_path_factory.mktemp("images")
    images = Images(folder)
    images("--version")
    context = folder / "base"
    context.mkdir()
    debian(context / "root.tar")
    (context / "Dockerfile").write_text("FROM scratch\nADD root.tar /\n")
    images.build(context, BASE, timeout_s=120)
    yield images
    images.remove()


@pytest.fixture(scope="module")
def built(base: Images, tmp_path_factory: pytest.TempPathFactory) -> Image:
    base.build(ROOT, "laserve", *pip_settings(tmp_path_factory.mktemp("pip")), timeout_s=800)
    return base.image("laserve")


@contextmanager
def container(
    built: Image,
    folder: Path,
    *arguments: str,
    setting: Mapping[str, str] | None = None,
    mounts: Mapping[Path, str] | None = None,
    network: bool = True,
) -> Iterator[Server]:
    """A running container whose volumes, for data and compiled code, are folders.

    It is killed at the end of the block, if it runs.
    """
    data = folder / "data"
    data.mkdir(exist_ok=True)
    os.chown(data, UID, UID)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = built.environment | {"LASERVE_PORT": str(port)} | dict(setting or {})
    compiled = folder / "compiled"
    compiled.mkdir(exist_ok=True)
    os.chown(compiled, UID, UID)
    volumes = {data: DATA, **(mounts or {}), compiled: built.environment["TORCHINDUCTOR_CACHE_DIR"]}
    command = built.command(volumes, *arguments)
    if not network:
        command = ["unshare", "--net", *command]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    server = Server(process=process, log=folder / "log")
    try:
        yield server
    finally:
        server.client.close()
        process.kill()  # the container's processes with it
        process.wait()


def until_listening(server: Server) -> None:
    until(lambda: "listening on" in server.output() or server.process.poll() is not None, 60)
    assert server.process.poll() is None, server.output()


def stop(server: Server, within_s: float = 20) -> int:
    """SIGTERM to the container's first process alone, as of `docker stop`; then its exit status."""
    first_process(server.process).send_signal(signal.SIGTERM)
    return server.process.wait(within_s)


def health(built: Image, server: Server) -> int:
    """Exit status of the health check in the container."""
    environment = first_process(server.process).environ()
    return built.healthcheck(server.process, environment)


def test_a_ready_container_serves_as_nobody_special_on_a_read_only_root(built: Image, tmp_path: Path) -> None:
    with container(
        built, tmp_path, "serve", "--profile", "fake", setting={"LASERVE_STORAGE__KIND": "sqlite"}
    ) as server:
        wait_ready(server)
        first = first_process(server.process)
        assert set(first.uids()) | set(first.gids()) == {UID}
        status = Path(f"/proc/{first.pid}/status").read_text()
        assert "NoNewPrivs:\t1" in status
        assert {
            line for line in status.splitlines() if line.startswith("Cap") and "0000000000000000" not in line
        } == set()
        mounts = Path(f"/proc/{first.pid}/mountinfo").read_text().splitlines()
        (root,) = (line.split() for line in mounts if line.split()[4] == "/")
        assert root[5].split(",")[0] == "ro"
        assert health(built, server) == 0
        answer = server.client.post("/generate", json={"prompt": "The bridge of Orrin", "n": 2})
        assert answer.status_code == 200
        decision = answer.json()["decision_id"]
        assert stop(server) == 0
    assert sql(tmp_path / "data", "SELECT id FROM decisions") == [(decision,)]
    assert "Traceback" not in server.output()


def test_a_container_that_loads_is_not_healthy_and_ends_with_status_zero(
    built: Image, tmp_path: Path
) -> None:
    # The self-test of this arm keeps the service loading for far longer than the test lasts.
    endless = [{"name": "slow", "kind": "fake", "options": {"delay_s": 600}, "timeout_s": 600}]
    setting = {"LASERVE_ARMS": json.dumps(endless)}
    with container(built, tmp_path, "serve", "--profile", "fake", setting=setting) as server:
        until_listening(server)
        assert health(built, server) == 1
        assert stop(server) == 0


def test_the_prepared_models_are_in_the_image_and_need_no_writable_cache(
    built: Image, tmp_path: Path
) -> None:
    with container(built, tmp_path, "models") as run:
        assert run.process.wait(60) == 0, run.output()
    cache = built.environment["LASERVE_CACHE_DIR"]
    names = ["all-minilm-l6-v2", "smollm2-135m-instruct"]
    assert run.output().splitlines() == [f"{name}: {cache}/{name}" for name in names]


def test_the_image_says_how_it_is_run(built: Image) -> None:
    config = built.config
    assert config["User"] == f"{UID}:{UID}"
    assert config["Entrypoint"] == ["/opt/laserve/bin/laserve"]
    assert config["Cmd"] == ["serve"]
    assert set(config["ExposedPorts"]) == {"8000/tcp"}
    assert config["WorkingDir"] == DATA
    assert config["Labels"]["org.opencontainers.image.version"] == laserve.__version__


def test_the_image_holds_what_serving_needs_and_no_tools(built: Image) -> None:
    expected = locked("service") | locked("engine") | {"torch", "laserve", "laserve-client"}
    assert names_in(built) == expected
    left = {path.name for path in (built.root / "opt/laserve/bin").iterdir()}
    assert left.isdisjoint({"pip", "pytest", "ruff", "mypy", "hatchling"})
    assert not (built.root / "src").exists()


def test_an_empty_cache_volume_is_filled_without_a_network(built: Image, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    os.chown(cache, UID, UID)
    with container(built, tmp_path, "models", mounts={cache: "/var/cache/laserve"}, network=False) as run:
        assert run.process.wait(120) == 0, run.output()
    assert (cache / "smollm2-135m-instruct" / "model.safetensors").stat().st_uid == UID
    assert (cache / "all-minilm-l6-v2").is_dir()


def test_the_default_engine_answers_in_a_container_and_leaves_no_process(
    built: Image, tmp_path: Path
) -> None:
    with container(built, tmp_path, "serve") as server:
        wait_ready(server, 600)
        answer = server.client.post("/generate", json={"prompt": "The bridge of Orrin was opened in", "n": 2})
        assert answer.status_code == 200
        assert health(built, server) == 0
        first = first_process(server.process)
        for engine in engines(first):
            engine.kill()
        # The first process of a container must reap what has lost its parent; there is no other init here.
        until(lambda: health(built, server) == 1)
        until(lambda: health(built, server) == 0)
        below = first.children(recursive=True)
        assert engines(first)
        assert [one for one in below if one.status() == psutil.STATUS_ZOMBIE] == []
        assert stop(server, 60) == 0
        assert [process for process in below if process.is_running()] == []


def engines(first: psutil.Process) -> list[psutil.Process]:
    """The processes of vLLM's engines."""
    return [one for one in first.children(recursive=True) if "EngineCore" in " ".join(one.cmdline())]


def until(holds: Callable[[], bool], within_s: float = 300) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)  # between two looks at a real process


def names_in(image: Image) -> set[str]:
    """Distributions in the environment of an image."""
    (folder,) = image.root.glob("opt/laserve/lib/python3*/site-packages")
    return {one.name.lower().replace("_", "-") for one in distributions(path=[str(folder)])}


def locked(name: str) -> set[str]:
    """Distributions of a lock."""
    lines = (ROOT / "deploy" / f"requirements-{name}.lock").read_text("utf-8").splitlines()
    return {line.partition("==")[0] for line in lines}
