"""A server that gets a signal to stop finishes the requests under way and accepts no more."""

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


def until_in_flight(server: Server, requests: int = 1) -> None:
    deadline = time.monotonic() + 30
    while gauge(server, "laserve_permits_in_use") != requests:
        assert time.monotonic() < deadline


def assert_stops_clean(server: Server) -> None:
    assert server.process.wait(60) == 0
    assert "Traceback" not in server.output()
    assert "ERROR" not in server.output()


def is_stored(folder: Path, answer: dict[str, Any]) -> bool:
    return sql(folder, "SELECT count(*) FROM decisions WHERE id = ?", answer["decision_id"]) == [(1,)]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_with_status_zero(tmp_path: Path, signum: signal.Signals) -> None:
    with serving(tmp_path / "log", *FAKE, env=on_disk(tmp_path)) as server:
        answer = server.client.post("/generate", json={"prompt": "Once"}).json()
        policy = server.client.get("/policy").json()
        server.process.send_signal(signum)
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
        pending = threads.submit(slow.client.post, "/generate", json={"prompt": "Once", "n": 2})
        until_in_flight(slow)
        slow.process.send_signal(signal.SIGTERM)
        until_deaf(slow)
        answer = pending.result(60)
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


@pytest.fixture
def endless(tmp_path: Path) -> Iterator[tuple[Server, str]]:
    """A server that drains for a second, at work on what takes far longer, and a decision with feedback."""
    options = {"fault": "hang", "fault_file": str(tmp_path / "hang")}
    arms = json.dumps([{"name": "hangs", "kind": "fake", "options": options, "timeout_s": 100}])
    env = on_disk(tmp_path, arms=arms, server__drain_s="1")
    with serving(tmp_path / "log", *FAKE, env=env) as server:
        decision_id = server.client.post("/generate", json={"prompt": "Once"}).json()["decision_id"]
        reply = server.client.post("/feedback", json={"decision_id": decision_id, "reward": 0.5})
        assert reply.status_code == 200
        (tmp_path / "hang").touch()
        yield server, decision_id


def until_ended(server: Server, seconds: float) -> float:
    """Seconds until the process has ended, with status 0 and nothing to complain about."""
    began = time.monotonic()
    assert server.process.wait(seconds) == 0
    assert "Traceback" not in server.output()
    return time.monotonic() - began


def test_what_does_not_finish_in_time_is_ended_with_an_error_and_nothing_acknowledged_is_lost(
    endless: tuple[Server, str], tmp_path: Path
) -> None:
    server, decision_id = endless

    def streamed() -> list[str]:
        lines: list[str] = []
        body = {"prompt": "Once", "n": 2, "stream": True, "timeout_s": 100}
        with server.client.stream("POST", "/generate", json=body) as stream:
            assert stream.status_code == 200
            lines.extend(stream.iter_lines())  # to a proper end, though its status has long been sent
        return lines

    with ThreadPoolExecutor(2) as threads:
        plain = threads.submit(
            server.client.post, "/generate", json={"prompt": "Once", "n": 2, "timeout_s": 100}
        )
        stream = threads.submit(streamed)
        until_in_flight(server, 2)
        server.process.send_signal(signal.SIGTERM)
        assert until_ended(server, 15) >= 1
        answer, lines = plain.result(5), stream.result(5)
    assert answer.status_code == 503
    assert answer.json()["error"]["message"] == "the service is stopping"
    assert int(answer.headers["retry-after"]) >= 1
    events = [line for line in lines if line.startswith("event: ")]
    assert events == ["event: candidate", "event: candidate", "event: error"]
    assert sql(tmp_path, "SELECT id FROM decisions") == [(decision_id,)]
    assert sql(tmp_path, "SELECT decision_id, reward FROM feedback") == [(decision_id, 0.5)]
    assert verified_digest(tmp_path)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_twice_ends_with_status_zero_too(
    endless: tuple[Server, str], tmp_path: Path, signum: signal.Signals
) -> None:
    server, decision_id = endless
    with ThreadPoolExecutor(1) as threads:
        pending = threads.submit(server.client.post, "/generate", json={"prompt": "Once", "timeout_s": 100})
        until_in_flight(server)
        server.process.send_signal(signum)
        until_deaf(server)
        server.process.send_signal(signum)
        until_ended(server, 15)
        assert pending.result(5).status_code == 503
    assert is_stored(tmp_path, {"decision_id": decision_id})
    assert verified_digest(tmp_path)


def until_deaf(server: Server) -> None:
    """Until it takes no connection any more: it has seen the signal."""
    deadline = time.monotonic() + 30
    with suppress(httpx.TransportError):
        while True:
            httpx.get(f"{server.url}/healthz", timeout=5)
            assert time.monotonic() < deadline
