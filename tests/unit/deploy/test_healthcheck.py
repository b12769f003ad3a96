"""The health check of a container."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from processes import LASERVE, Server, wait_ready

PROGRAM = Path(__file__).parents[3] / "deploy" / "healthcheck.py"


@contextmanager
def answering(status: int) -> Iterator[str]:
    """The URL of a service that answers `/readyz` with a status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()
            self.wfile.write(b'{"status":"some"}')

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def check(folder: Path, url: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """The health check in a container whose service wrote its URL to a folder; without a URL, none yet."""
    if url:
        (folder / "laserve.url").write_text(url)
    return subprocess.run(
        [sys.executable, PROGRAM],
        env=os.environ | {"RUNTIME_DIRECTORY": str(folder)} | more,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(("status", "health"), [(200, 0), (503, 1), (401, 1)])
def test_a_service_is_healthy_when_it_is_ready(status: int, health: int, tmp_path: Path) -> None:
    with answering(status) as url:
        done = check(tmp_path, url)
    assert (done.returncode, done.stderr) == (health, "")
    assert done.stdout.strip() == '{"status":"some"}'


def test_a_proxy_of_the_environment_is_not_asked(tmp_path: Path) -> None:
    with answering(200) as url:
        done = check(tmp_path, url, http_proxy="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9")
    assert done.returncode == 0


def test_a_service_that_does_not_answer_is_unhealthy_and_the_reason_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and does not listen
        done = check(tmp_path, f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert done.returncode == 1
    assert done.stderr.startswith("no answer: ")
    assert done.stderr.count("\n") == 1


def test_a_service_that_does_not_listen_yet_is_unhealthy_and_the_reason_names_the_file(
    tmp_path: Path,
) -> None:
    done = check(tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("no answer: ")
    assert str(tmp_path / "laserve.url") in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_address_is_the_one_that_the_settings_file_gives(tmp_path: Path) -> None:
    settings = tmp_path / "laserve.yaml"
    settings.write_text("server: {host: 127.0.0.2, port: 0}")
    # What Kubernetes sets for a Service of this name is no port of the service.
    others = {"RUNTIME_DIRECTORY": str(tmp_path), "LASERVE_PORT": "tcp://10.0.0.1:8000"}
    program = (*LASERVE, "serve", "--profile", "fake", "--config", str(settings))
    log = tmp_path / "log"
    with log.open("wb") as file:
        server = Server(
            process=subprocess.Popen(program, stdout=file, stderr=file, env=os.environ | others), log=log
        )
    try:
        wait_ready(server)
        done = check(tmp_path, LASERVE_PORT=others["LASERVE_PORT"])
    finally:
        server.client.close()
        assert server.stop() == 0
    assert (done.returncode, done.stderr) == (0, "")
