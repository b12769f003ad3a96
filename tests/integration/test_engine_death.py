"""An engine that dies costs the answers under way, and its processes never outlive their server.

One story on one server, in the order of this file, since an engine takes long to start.
"""

import json
import os
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from acceptance.wire import Samples, Service, stream, until
from integration.operation import verified_digest
from processes import Server, launch, wait_ready

pytestmark = pytest.mark.engine

#: Arms that have no engine of their own, so that the generator's is the only one.
WITHOUT_ENGINES = json.dumps([{"name": name, "kind": name} for name in ("loglik", "consensus", "relevance")])
#: An engine starts within this, also on a machine that does other work.
START_S = 200
#: Long enough to be under way when its engine is killed.
LONG = {"prompt": "Once upon a time", "n": 2, "max_tokens": 2000, "timeout_s": 120}
PLAIN, STREAMS = 3, 2
RESTARTS = ("laserve_engine_restarts_total", frozenset({("engine", "generator"), ("outcome", "ready")}))
UP = ("laserve_engine_up", frozenset({("engine", "generator")}))
SEED_BREAKS_IT = json.dumps({"enable_chunked_prefill": True, "max_num_batched_tokens": 512})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("death")


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    """In a process group of its own, as a terminal starts it."""
    env = {
        "LASERVE_DATA_DIR": str(folder),
        "LASERVE_ARMS": WITHOUT_ENGINES,
        "LASERVE_GENERATION__ENGINE_ARGS": SEED_BREAKS_IT,
    }
    server = launch(folder / "log", env=env, through=["setsid"])
    try:
        wait_ready(server, START_S)
        yield Service(server, folder)
    finally:
        server.client.close()
        if server.process.poll() is None:
            server.stop()


def descendants(pid: int) -> dict[int, str]:
    """The processes below one, by their pid, with what they call themselves."""
    processes: dict[int, str] = {}
    for child in Path(f"/proc/{pid}/task").glob("*/children"):
        for each in map(int, child.read_text().split()):
            name = Path(f"/proc/{each}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
            processes |= {each: name} | descendants(each)
    return processes


def lives(pid: int) -> bool:
    """Whether it still runs; one that has ended and that nobody asked about does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def named(server: Server, name: str) -> int:
    (pid,) = (pid for pid, title in descendants(server.process.pid).items() if title.startswith(name))
    return pid


@dataclass
class Pulse:
    """What clients that need no engine saw."""

    seconds: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    #: Decision -> rewards that were acknowledged.
    acknowledged: dict[str, list[float]] = field(default_factory=dict)

    def timed(self, ask: Any) -> httpx.Response:
        began = time.monotonic()
        answer: httpx.Response = ask()
        self.seconds.append(time.monotonic() - began)
        self.statuses.append(answer.status_code)
        return answer


@contextmanager
def pulse(server: Server, decisions: list[str]) -> Iterator[Pulse]:
    """While the block runs, ask for health and give feedback, each with a new key and a new reward."""
    seen, done = Pulse(), threading.Event()

    def beat() -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            while not done.wait(0.02):
                seen.timed(lambda: client.get("/healthz"))
                decision_id = decisions[len(seen.seconds) % len(decisions)]
                reward = (len(seen.seconds) % 100_000) / 100_000
                body = {"decision_id": decision_id, "reward": reward}
                key = {"Idempotency-Key": f"{decision_id} {time.monotonic()}"}
                if seen.timed(lambda: client.post("/feedback", json=body, headers=key)).status_code == 200:  # noqa: B023
                    seen.acknowledged.setdefault(decision_id, []).append(reward)

    with ThreadPoolExecutor(1) as thread:
        beating = thread.submit(beat)
        try:
            yield seen
        finally:
            done.set()
        beating.result()


def counters(samples: Samples) -> Samples:
    """What must only ever grow."""
    ends = ("_total", "_count", "_bucket")
    return {
        key: value
        for key, value in samples.items()
        if key[0].startswith("laserve_") and key[0].endswith(ends)
    }


def vllm_names(samples: Samples) -> set[str]:
    return {name for name, _ in samples if name.startswith("vllm:")}


def check_plain(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["error"]["code"] == "engine_error"


def check_not_ready(answer: httpx.Response) -> None:
    assert answer.status_code == 503
    assert answer.json()["generator"] == answer.json()["status"] == "restarting"
    assert answer.json()["store"] == "ready"
    assert "the engine has died" in answer.json()["why"]["generator"]


def test_an_engine_that_a_seed_would_break_refuses_seeds_and_survives_long_prompts(service: Service) -> None:
    seeded = service.client.post("/generate", json={"prompt": "sheep " * 1000, "n": 2, "seed": 11})
    assert (seeded.status_code, seeded.json()["error"]["param"]) == (422, "seed")
    assert "chunked prefill" in seeded.json()["error"]["message"]
    service.generate(prompt="sheep " * 1000, n=2, max_tokens=4)
    assert service.client.get("/readyz").status_code == 200


def test_a_killed_engine_costs_the_answers_under_way_and_is_started_again(service: Service) -> None:
    server, client = service.server, service.client
    decisions = [service.decide(max_tokens=4) for _ in range(3)]
    before = service.samples()
    with ThreadPoolExecutor(PLAIN + STREAMS) as pool, pulse(server, decisions) as seen:
        plain = [pool.submit(client.post, "/generate", json=LONG) for _ in range(PLAIN)]
        streams = [pool.submit(stream, service, **LONG) for _ in range(STREAMS)]
        until(lambda: service.sample("laserve_permits_in_use") == PLAIN + STREAMS, timeout_s=60)
        until(lambda: service.samples()["vllm:num_requests_running", model_labels(service)] > 0, timeout_s=60)
        os.kill(named(server, "VLLM::EngineCore"), signal.SIGKILL)

        for pending in plain:
            check_plain(pending.result(60))
        for events in (pending.result(60) for pending in streams):
            assert events[-1].event == "error"
            assert json.loads(events[-1].data)["error"]["code"] == "engine_error"
        check_not_ready(client.get("/readyz"))
        check_plain(client.post("/generate", json={"prompt": "Once"}))
        during = service.samples()
        until(lambda: client.get("/readyz").status_code == 200, timeout_s=START_S)

    assert set(seen.statuses) == {200}
    # An engine that starts in the event loop would hold all of them up for as long as that takes, 20 s.
    assert statistics.median(seen.seconds) < 0.5
    assert max(seen.seconds) < 5.0
    for decision_id, rewards in seen.acknowledged.items():
        stored = {row["body"]["reward"] for row in service.decision(decision_id)["feedback"]}
        assert set(rewards) <= stored
    assert len(seen.acknowledged) == len(decisions)

    assert service.generate(max_tokens=4)["degraded"] == []
    after = service.samples()
    for earlier, later in ((before, during), (during, after)):
        assert all(later[key] >= value for key, value in counters(earlier).items())
    assert vllm_names(before) <= vllm_names(after)
    assert [each[UP] for each in (before, during, after)] == [1, 0, 1]
    assert after[RESTARTS] == before.get(RESTARTS, 0) + 1
    failed = frozenset({("engine", "generator"), ("outcome", "failed")})
    assert after["laserve_engine_restarts_total", failed] == 0


def model_labels(service: Service) -> frozenset[tuple[str, str]]:
    (labels,) = (labels for name, labels in service.samples() if name == "vllm:num_requests_running")
    return labels


def test_ctrl_c_in_the_terminal_lets_the_engine_finish_what_is_under_way(
    service: Service, folder: Path
) -> None:
    server = service.server
    said = len(server.output())
    engine = descendants(server.process.pid)
    assert any(title.startswith("VLLM::") for title in engine.values())
    with ThreadPoolExecutor(1) as thread:
        body = {"prompt": "Once upon a time", "n": 4, "max_tokens": 60}
        pending = thread.submit(service.client.post, "/generate", json=body)
        until(lambda: service.sample("laserve_permits_in_use") == 1, timeout_s=30)
        os.killpg(server.process.pid, signal.SIGINT)
        answer = pending.result(60)
    assert answer.status_code == 200, answer.text
    assert answer.json()["degraded"] == []
    assert server.process.wait(60) == 0
    assert "Traceback" not in server.output()[said:]
    until(lambda: not any(map(lives, engine)), timeout_s=30)
    assert verified_digest(folder)
