"""A server that is told to stop finishes what it has begun and says no more."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from integration.operation import FAKE, on_disk, sql, verified_digest
from processes import Server, launch, serving

#: An arm that thinks long enough for a signal to arrive meanwhile.
SLOW = json.dumps([{"name": "slow", "kind": "fake", "options": {"delay_s": 2.5}}])


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "log", *FAKE, env=on_disk(tmp_path, arms=SLOW)) as server:
        yield server


def gauge(server: Server, name: str) -> float:
    for line in server.client.get("/metrics").text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[1])
    raise AssertionError(f"no metric {name}")


def until_in_flight(server: Server) -> None:
    deadline = time.monotonic() + 30
    while gauge(server, "laserve_requests_in_flight") != 1:
        assert time.monotonic() < deadline


def assert_stops_clean(server: Server) -> None:
    assert server.process.wait(60) == 0
    assert "Traceback" not in server.output()
    assert "ERROR" not in server.output()


def is_stored(folder: Path, answer: dict[str, Any]) -> bool:
    return sql(folder, "SELECT count(*) FROM decisions WHERE id = ?", answer["decision_id"]) == [(1,)]


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_with_status_zero(tmp_path: Path, told: signal.Signals) -> None:
    with serving(tmp_path / "log", *FAKE, env=on_disk(tmp_path)) as server:
        answer = server.client.post("/generate", json={"prompt": "Once"}).json()
        policy = server.client.get("/policy").json()
        server.process.send_signal(told)
        assert_stops_clean(server)
    assert is_stored(tmp_path, answer)
    # The database was closed: what a reader finds in the file alone is all there is.
    assert not (tmp_path / "laserve.db-wal").exists()
    assert verified_digest(tmp_path) == policy["digest"]


def test_a_server_that_is_told_while_it_loads_ends_with_status_zero(tmp_path: Path) -> None:
    # The self-test of this arm keeps the server loading for far longer than the test lasts.
    endless = json.dumps([{"name": "slow", "kind": "fake", "options": {"delay_s": 600}, "timeout_s": 600}])
    server = launch(tmp_path / "log", *FAKE, env=on_disk(tmp_path, arms=endless))
    try:
        deadline = time.monotonic() + 60
        while "listening on" not in server.output():
            assert time.monotonic() < deadline
            assert server.process.poll() is None, server.output()
            with suppress(subprocess.TimeoutExpired):
                server.process.wait(0.05)  # between two looks at its log
        server.process.send_signal(signal.SIGTERM)
        assert_stops_clean(server)
        assert "laserve is ready" not in server.output()
    finally:
        server.process.kill()
        server.process.wait()
        server.client.close()


def test_a_request_in_flight_is_answered_while_nobody_else_is_let_in(slow: Server, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(slow.client.post, "/generate", json={"prompt": "Once", "n": 2})
        until_in_flight(slow)
        slow.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 30
        with pytest.raises(httpx.TransportError):
            while time.monotonic() < deadline:
                httpx.get(f"{slow.url}/healthz", timeout=5)
        answer = asked.result(60)
    assert answer.status_code == 200
    assert_stops_clean(slow)
    assert is_stored(tmp_path, answer.json())


def test_a_stream_in_flight_reaches_its_decision(slow: Server, tmp_path: Path) -> None:
    events: list[tuple[str, Any]] = []
    body = {"prompt": "Once", "n": 2, "stream": True}
    with slow.client.stream("POST", "/generate", json=body) as stream:
        name = ""
        for line in stream.iter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                events.append((name, json.loads(value)))
                if len(events) == 1:
                    slow.process.send_signal(signal.SIGTERM)
    assert [name for name, _ in events] == ["candidate", "candidate", "decision"]
    assert_stops_clean(slow)
    assert is_stored(tmp_path, events[-1][1])
