"""A database that cannot be written costs answers for a while, never one that was given."""

import json
import re
import shutil
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from acceptance.wire import until
from integration.impatient import BUSY_S, IMPATIENT
from integration.operation import FAKE, digest_in, metric, on_disk, sql, verified_digest, verify_here
from processes import Server, disk_full, launch, no_file_over, serving

CLIENTS = 6
MAX_BYTES = 2**20
#: A prompt that takes 20 kB of the database.
LONG = "kilo " * 4096


@dataclass
class Ledger:
    """What the clients of one server know."""

    answered: set[str] = field(default_factory=set)
    acknowledged: dict[str, str] = field(default_factory=dict)
    #: Paths that were answered 503, in order.
    refused: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)

    def heard(self, answer: httpx.Response) -> bool:
        """Whether it was a success; a refusal must say that it is the store, and when to come back."""
        if answer.status_code == 200:
            return True
        try:
            check_refusal(answer)
        except AssertionError:
            self.unexpected.append(f"{answer.status_code}: {answer.text}")
        self.refused.append(answer.request.url.path)
        return False


def check_refusal(answer: httpx.Response) -> str:
    """The message of a 503 of the store."""
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("unavailable_error", "store_error")
    assert error["message"].startswith("the database refused: ")
    return str(error["message"])


@contextmanager
def clients(server: Server, prompt: str = "north of the river") -> Iterator[Ledger]:
    """While the block runs, clients ask and tell without a pause."""
    ledger, done = Ledger(), threading.Event()

    def work(name: str) -> None:
        number, decision_id = 0, ""
        with httpx.Client(base_url=server.url, timeout=120) as client:
            while not done.is_set():
                number += 1
                answer = client.post("/generate", json={"prompt": f"{name} {number} {prompt}", "n": 2})
                if ledger.heard(answer):
                    decision_id = answer.json()["decision_id"]
                    ledger.answered.add(decision_id)
                else:
                    done.wait(0.02)  # not as fast as it can refuse
                if not decision_id:
                    continue
                key = f"{name} {number}"
                body = {"decision_id": decision_id, "reward": 0.5}
                if ledger.heard(client.post("/feedback", json=body, headers={"Idempotency-Key": key})):
                    ledger.acknowledged[key] = decision_id

    with ThreadPoolExecutor(CLIENTS) as pool:
        working = [pool.submit(work, f"client {number}") for number in range(CLIENTS)]
        try:
            yield ledger
        finally:
            done.set()
    for each in working:
        each.result()
    assert ledger.unexpected == []


def check_database(folder: Path, ledger: Ledger) -> None:
    """All that was acknowledged, and nothing that was refused."""
    assert {row[0] for row in sql(folder, "SELECT id FROM decisions")} == ledger.answered
    rows = sql(folder, "SELECT identity, decision_id FROM feedback")
    assert {
        identity.removeprefix("key:"): decision_id for identity, decision_id in rows
    } == ledger.acknowledged
    assert len(rows) == len(ledger.acknowledged)


def check_not_ready(server: Server, decision_id: str) -> None:
    """The service says that its store has failed and why, and still reads."""
    readiness = server.client.get("/readyz")
    assert readiness.status_code == 503
    assert (readiness.json()["status"], readiness.json()["store"]) == ("failed", "failed")
    assert readiness.json()["why"]["store"].startswith("the database refused: ")
    assert metric(server, "laserve_store_refusing") == 1
    assert metric(server, "laserve_ready") == 0
    assert server.client.get("/healthz").status_code == 200
    assert server.client.get("/policy").status_code == 200
    assert server.client.get(f"/decisions/{decision_id}").status_code == 200


def until_ready(server: Server) -> None:
    until(lambda: server.client.get("/readyz").status_code == 200, timeout_s=30)
    assert server.client.get("/readyz").json()["store"] == "ready"
    assert metric(server, "laserve_store_refusing") == 0
    assert metric(server, "laserve_ready") == 1


def check_sound(server: Server, folder: Path) -> None:
    """The log is whole, nothing is left under way, and it stops as if nothing had been."""
    assert metric(server, "laserve_permits_in_use") == 0
    assert "Traceback" not in server.output()
    digest = server.client.get("/policy").json()["digest"]
    assert server.stop() == 0
    assert verified_digest(folder) == digest


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Another process writes to the database while the block runs."""
    with closing(sqlite3.connect(folder / "laserve.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


def outage(fault: str, server: Server, folder: Path) -> Any:
    return disk_full(server, folder / "laserve.db") if fault == "disk full" else locked(folder)


@pytest.mark.parametrize("fault", ["disk full", "locked"])
def test_what_was_acknowledged_around_an_outage_is_there_and_what_was_refused_is_not(
    tmp_path: Path, fault: str
) -> None:
    env = on_disk(tmp_path, storage__snapshot_every="20", policy__learn_from="reward")
    with serving(tmp_path / "log", *FAKE, env=env, program=IMPATIENT) as server:
        with clients(server) as ledger:
            until(lambda: len(ledger.answered) >= 30 and len(ledger.acknowledged) >= 30, timeout_s=60)
            with outage(fault, server, tmp_path):
                until(lambda: {"/generate", "/feedback"} <= set(ledger.refused), timeout_s=60)
                refused = len(ledger.refused)
                until(lambda: len(ledger.refused) >= refused + CLIENTS, timeout_s=60)
                check_not_ready(server, min(ledger.answered))
            until_ready(server)
            answered, acknowledged = len(ledger.answered), len(ledger.acknowledged)
            until(
                lambda: (
                    len(ledger.answered) >= answered + 30 and len(ledger.acknowledged) >= acknowledged + 30
                ),
                timeout_s=60,
            )
        check_database(tmp_path, ledger)
        check_sound(server, tmp_path)
    check_database(tmp_path, ledger)


def test_a_write_that_is_taken_does_not_hide_that_another_was_refused(tmp_path: Path) -> None:
    with serving(tmp_path / "log", *FAKE, env=on_disk(tmp_path)) as server:
        for _ in range(10):
            decision = server.client.post("/generate", json={"prompt": LONG, "n": 2}).json()
        with disk_full(server, tmp_path / "laserve.db"):
            check_refusal(server.client.post("/generate", json={"prompt": "a"}))
        # Nobody has looked since: only the store's own test clears it.
        reply = server.client.post("/feedback", json={"decision_id": decision["decision_id"], "reward": 1})
        assert reply.status_code == 200
        assert metric(server, "laserve_store_refusing") == 1
        assert metric(server, "laserve_ready") == 0
        # A request looks for itself.
        assert server.client.post("/generate", json={"prompt": "a"}).status_code == 200
        assert metric(server, "laserve_store_refusing") == 0
        assert metric(server, "laserve_ready") == 1
        check_sound(server, tmp_path)


def stream(server: Server) -> tuple[int, list[tuple[str, Any]]]:
    """Status and events of a stream."""
    body = {"prompt": "a", "n": 2, "stream": True}
    with server.client.stream("POST", "/generate", json=body) as answer:
        answer.read()
        if answer.status_code != 200:
            check_refusal(answer)
        events = re.findall(r"event: (\w+)\r\ndata: (.*)\r\n", answer.text)
        return answer.status_code, [(name, json.loads(data)) for name, data in events]


def test_a_stream_whose_decision_is_refused_ends_with_the_error_and_the_next_does_not_begin(
    tmp_path: Path,
) -> None:
    with serving(tmp_path / "log", *FAKE, env=on_disk(tmp_path)) as server:
        for _ in range(10):
            server.client.post("/generate", json={"prompt": LONG, "n": 2})
        with disk_full(server, tmp_path / "laserve.db"):
            status, events = stream(server)
            assert (status, [name for name, _ in events]) == (200, ["candidate", "candidate", "error"])
            assert events[-1][1]["error"]["code"] == "store_error"
            assert stream(server) == (503, [])
        status, events = stream(server)
        assert (status, [name for name, _ in events]) == (200, ["candidate", "candidate", "decision"])
        assert sql(tmp_path, "SELECT count(*) FROM decisions") == [(11,)]
        check_sound(server, tmp_path)


def test_a_batch_of_feedback_tells_of_each_line_that_it_was_refused(tmp_path: Path) -> None:
    with serving(tmp_path / "log", *FAKE, env=on_disk(tmp_path)) as server:
        decisions = [
            server.client.post("/generate", json={"prompt": LONG, "n": 2}).json()["decision_id"]
            for _ in range(10)
        ]
        lines = "\n".join(json.dumps({"decision_id": each, "reward": 0.5}) for each in decisions)
        with disk_full(server, tmp_path / "laserve.db"):
            refused = server.client.post("/feedback/batch", content=lines)
            assert [json.loads(line)["status"] for line in refused.text.splitlines()] == ["error"] * 10
            assert sql(tmp_path, "SELECT count(*) FROM feedback") == [(0,)]
        taken = server.client.post("/feedback/batch", content=lines)
        assert [json.loads(line)["status"] for line in taken.text.splitlines()] == ["recorded"] * 10
        check_sound(server, tmp_path)


@pytest.mark.timed
def test_requests_that_find_a_locked_database_wait_for_one_test_of_it_together(tmp_path: Path) -> None:
    def ask(_: int) -> float:
        with httpx.Client(base_url=server.url, timeout=120) as client:
            started = time.monotonic()
            check_refusal(client.post("/generate", json={"prompt": "a", "n": 2}))
            return time.monotonic() - started

    with serving(tmp_path / "log", *FAKE, env=on_disk(tmp_path), program=IMPATIENT) as server:
        with locked(tmp_path), ThreadPoolExecutor(40) as pool:
            assert ask(0) >= 0.9 * BUSY_S
            assert metric(server, "laserve_store_refusing") == 1
            # Each of its own would take as long as the busy timeout, one after another.
            assert max(pool.map(ask, range(40))) < BUSY_S + 6
            assert server.client.get("/healthz").elapsed.total_seconds() < 1
        until_ready(server)
        assert server.client.post("/generate", json={"prompt": "a"}).status_code == 200
        assert sql(tmp_path, "SELECT count(*) FROM decisions") == [(1,)]
        check_sound(server, tmp_path)


@pytest.mark.timed
def test_writes_of_all_kinds_that_find_a_locked_database_do_not_wait_for_one_another(tmp_path: Path) -> None:
    def write(number: int) -> float:
        body = {"decision_id": decisions[number], "reward": 1}
        with httpx.Client(base_url=server.url, timeout=120) as client:
            started = time.monotonic()
            match number % 3:
                case 0:
                    check_refusal(client.post("/generate", json={"prompt": "a", "n": 2}))
                case 1:
                    check_refusal(client.post("/feedback", json=body))
                case 2:
                    check_refusal(client.delete(f"/decisions/{decisions[number]}"))
            return time.monotonic() - started

    with serving(tmp_path / "log", *FAKE, env=on_disk(tmp_path), program=IMPATIENT) as server:
        decisions = [
            server.client.post("/generate", json={"prompt": "a", "n": 2}).json()["decision_id"]
            for _ in range(18)
        ]
        with locked(tmp_path), ThreadPoolExecutor(18) as pool:
            write(0)
            assert max(pool.map(write, range(18))) < 2 * BUSY_S + 6  # one after another: 18 times
        until_ready(server)
        assert sql(tmp_path, "SELECT count(texts) FROM decisions") == [(18,)]
        assert sql(tmp_path, "SELECT count(*) FROM feedback") == [(0,)]
        check_sound(server, tmp_path)


@pytest.mark.timed
def test_a_lock_that_is_released_in_time_is_waited_for(tmp_path: Path) -> None:
    with serving(tmp_path / "log", *FAKE, env=on_disk(tmp_path)) as server, ThreadPoolExecutor(1) as pool:
        with locked(tmp_path):
            pending = pool.submit(server.client.post, "/generate", json={"prompt": "a", "n": 2})
            with pytest.raises(TimeoutError):
                pending.result(1)
        answer = pending.result(30)
        assert answer.status_code == 200
        assert sql(tmp_path, "SELECT id FROM decisions") == [(answer.json()["decision_id"],)]
        assert metric(server, "laserve_store_refusing") == 0


def test_a_deletion_that_is_refused_removes_nothing(tmp_path: Path) -> None:
    with serving(tmp_path / "log", *FAKE, env=on_disk(tmp_path)) as server:
        for _ in range(10):
            decision = server.client.post("/generate", json={"prompt": LONG, "n": 2}).json()
        path = f"/decisions/{decision['decision_id']}"
        with disk_full(server, tmp_path / "laserve.db"):
            check_refusal(server.client.delete(path))
            assert server.client.get(path).json()["request"] == {"prompt": LONG}
        assert server.client.get(path).json()["request"] == {"prompt": LONG}
        assert server.client.delete(path).status_code == 204
        assert server.client.get(path).status_code == 410
        until_ready(server)
        check_sound(server, tmp_path)


def test_a_deletion_without_room_to_clean_up_behind_it_is_done_and_harms_no_later_write(
    tmp_path: Path,
) -> None:
    database = tmp_path / "laserve.db"

    def ask() -> str:
        answer = server.client.post("/generate", json={"prompt": LONG, "n": 2})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["decision_id"])

    with serving(tmp_path / "log", *FAKE, env=on_disk(tmp_path), program=IMPATIENT) as server:
        decisions = [ask() for _ in range(10)]
        assert server.client.delete(f"/decisions/{decisions.pop()}").status_code == 204  # empties the log
        decisions += [ask() for _ in range(3)]
        deleted = f"/decisions/{decisions.pop()}"
        # The log has room for the deletion, the database has none for what is in the log.
        with no_file_over(server, database.stat().st_size):
            assert server.client.delete(deleted).status_code == 204
            assert server.client.get(deleted).status_code == 410
        with locked(tmp_path):
            started = time.monotonic()
            reply = server.client.post("/feedback", json={"decision_id": decisions[0], "reward": 1})
            check_refusal(reply)
            assert time.monotonic() - started >= 0.9 * BUSY_S
        until_ready(server)
        assert server.client.delete(f"/decisions/{decisions.pop()}").status_code == 204
        assert Path(f"{database}-wal").stat().st_size == 0
        check_sound(server, tmp_path)


def test_a_database_at_its_largest_size_refuses_until_decisions_are_deleted(tmp_path: Path) -> None:
    env = on_disk(tmp_path, storage__max_bytes=str(MAX_BYTES))
    database = tmp_path / "laserve.db"

    def ask() -> httpx.Response:
        return server.client.post("/generate", json={"prompt": LONG, "n": 2})

    with serving(tmp_path / "log", *FAKE, env=env) as server:
        decisions = []
        while (answer := ask()).status_code == 200:
            decisions.append(answer.json()["decision_id"])
            assert len(decisions) * len(LONG) < MAX_BYTES
        assert "full" in check_refusal(answer)
        assert len(decisions) * len(LONG) > MAX_BYTES / 2
        check_not_ready(server, decisions[0])
        assert [row[0] for row in sql(tmp_path, "SELECT id FROM decisions ORDER BY id")] == decisions
        digest = server.client.get("/policy").json()["digest"]
        assert server.stop() == 0
        assert "Traceback" not in server.output()
    assert database.stat().st_size <= MAX_BYTES

    # A full database is no reason not to start.
    with serving(tmp_path / "log again", *FAKE, env=env) as server:
        assert server.client.get("/policy").json()["digest"] == digest
        check_refusal(ask())
        check_not_ready(server, decisions[0])
        for decision_id in decisions[: len(decisions) // 2]:
            assert server.client.delete(f"/decisions/{decision_id}").status_code == 204
        until_ready(server)
        for _ in range(5):
            answer = ask()
            assert answer.status_code == 200, answer.text
            decisions.append(answer.json()["decision_id"])
        reply = server.client.post("/feedback", json={"decision_id": decisions[-1], "reward": 1})
        assert reply.status_code == 200
        assert [row[0] for row in sql(tmp_path, "SELECT id FROM decisions ORDER BY id")] == decisions
        check_sound(server, tmp_path)
    assert database.stat().st_size <= MAX_BYTES


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a service that has learned, kept snapshots and stopped."""
    folder = tmp_path_factory.mktemp("taught")
    env = on_disk(folder, storage__snapshot_every="5", policy__learn_from="reward")
    with serving(folder / "log", *FAKE, env=env) as server:
        for number in range(22):
            answer = server.client.post("/generate", json={"prompt": f"river {number}", "n": 2})
            body = {"decision_id": answer.json()["decision_id"], "reward": number / 22}
            assert server.client.post("/feedback", json=body).json()["learned"]
    return folder


@pytest.fixture
def copy(taught: Path, tmp_path: Path) -> Path:
    """A copy of it to spoil."""
    shutil.copy(taught / "laserve.db", tmp_path)
    return tmp_path


def flip(folder: Path, position: int, share: float) -> None:
    """Change one bit of a snapshot, at this share of its length."""
    [(payload,)] = sql(folder, "SELECT payload FROM snapshots WHERE position = ?", position)
    spoiled = bytearray(payload)
    spoiled[int(share * (len(payload) - 1))] ^= 0x10
    sql(folder, "UPDATE snapshots SET payload = ? WHERE position = ?", bytes(spoiled), position)


@pytest.mark.parametrize("torn", ["the newest", "all"])
def test_a_service_starts_where_it_was_though_snapshots_are_torn(copy: Path, torn: str) -> None:
    digest = digest_in(verify_here(copy))
    positions = [row[0] for row in sql(copy, "SELECT position FROM snapshots ORDER BY position DESC")]
    assert len(positions) == 3
    for share in (0.0, 0.3, 0.99, 1.0):
        for position in positions[: 1 if torn == "the newest" else None]:
            flip(copy, position, share)
        done = verify_here(copy)
        assert done.status == 0, done.err
        assert digest_in(done) == digest
        compared = f"at {positions[1]}, equal" if torn == "the newest" else "none"
        assert f"snapshot: {compared}" in done.out

    env = on_disk(copy, policy__learn_from="reward", storage__snapshot_every="5")
    with serving(copy / "log", *FAKE, env=env) as server:
        assert server.client.get("/policy").json()["digest"] == digest
        for number in range(5):
            answer = server.client.post("/generate", json={"prompt": f"lake {number}", "n": 2})
            body = {"decision_id": answer.json()["decision_id"], "reward": 0.25}
            assert server.client.post("/feedback", json=body).json()["learned"]
        check_sound(server, copy)
    # A whole one has been made since.
    assert "snapshot: none" not in verify_here(copy).out
    assert f"snapshot: at {positions[1]}, equal" not in verify_here(copy).out


#: Becomes the command behind it as a user for whom permissions count, also where root runs the tests.
WITH_PERMISSIONS = (
    sys.executable,
    "-c",
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(24, 1); os.execv(sys.argv[1], sys.argv[1:])",
)


def nothing_there(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o555)


def below_it(folder: Path) -> None:
    folder.parent.chmod(0o555)


def a_log_in_it(folder: Path) -> None:
    with serving(folder.parent / "earlier log", *FAKE, env=on_disk(folder)) as server:
        assert server.client.post("/generate", json={"prompt": "a"}).status_code == 200
    folder.chmod(0o555)


def a_log_that_is_read_only(folder: Path) -> None:
    a_log_in_it(folder)
    folder.chmod(0o755)
    (folder / "laserve.db").chmod(0o444)


def no_database_at_all(folder: Path) -> None:
    folder.mkdir()
    (folder / "laserve.db").write_bytes(b"this is not a database " * 1000)


@pytest.mark.parametrize(
    "spoil", [nothing_there, below_it, a_log_in_it, a_log_that_is_read_only, no_database_at_all]
)
def test_a_folder_that_cannot_be_written_is_refused_in_one_line_that_names_it(
    tmp_path: Path, spoil: Any
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    folder = home / "data"
    spoil(folder)
    try:
        server = launch(tmp_path / "log", *FAKE, env=on_disk(folder), through=WITH_PERMISSIONS)
        server.client.close()
        try:
            assert server.process.wait(15) == 1
        finally:
            server.process.kill()
            server.process.wait()
    finally:
        home.chmod(0o755)
        if folder.exists():
            folder.chmod(0o755)
    said = server.output()
    assert said.startswith("laserve: data_dir: ")
    assert str(folder) in said
    assert said.count("\n") == 1
