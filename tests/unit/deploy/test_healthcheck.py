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

PROGRAM = Path(__file__).parents[3] / "deploy" / "healthcheck.py"


@contextmanager
def answering(status: int) -> Iterator[int]:
    """The port of a service that answers `/readyz` with a status."""

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
        yield server.server_port
        server.shutdown()
        thread.join()


def check(port: int, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, PROGRAM],
        env=os.environ | {"LASERVE_PORT": str(port)} | more,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(("status", "health"), [(200, 0), (503, 1), (401, 1)])
def test_a_service_is_healthy_when_it_is_ready(status: int, health: int) -> None:
    with answering(status) as port:
        done = check(port)
    assert (done.returncode, done.stderr) == (health, "")
    assert done.stdout.strip() == '{"status":"some"}'


def test_a_proxy_of_the_environment_is_not_asked() -> None:
    with answering(200) as port:
        assert check(port, http_proxy="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9").returncode == 0


def test_a_service_that_does_not_answer_is_unhealthy_and_the_reason_is_one_line() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and does not listen
        done = check(unused.getsockname()[1])
    assert done.returncode == 1
    assert done.stderr.startswith("no answer: ")
    assert done.stderr.count("\n") == 1
