"""`/readyz` says whether the writes of requests succeed, whatever else the database still takes."""

import asyncio
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from acceptance.wire import until
from contract import samples
from integration.operation import FAKE, metric, on_disk, sql, verified_digest
from laserve.storage.store import SqlStore
from processes import Server, serving

#: Large decisions beside the small ones, so that the file has more pages than a connection keeps in memory.
LARGE, FILLER = 300, "kilo " * 4096
PAGE = 4096


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a service that has stopped: all that it holds is in the file itself."""
    folder = tmp_path_factory.mktemp("filled")
    with serving(folder / "log", *FAKE, env=on_disk(folder)) as server:
        for _ in range(4):
            assert tell(server, ask(server).json()["decision_id"]).status_code == 200

    async def fill() -> None:
        store = SqlStore(folder / "laserve.db")
        await store.open()
        recent = {"created_at": time.time(), "metadata": {"filler": FILLER}}
        await store.add_decisions([samples.decision(f"d-{number}", **recent) for number in range(LARGE)])
        await store.close()

    asyncio.run(fill())
    assert (folder / "laserve.db").stat().st_size > 1200 * PAGE
    return folder


@pytest.fixture
def copy(filled: Path, tmp_path: Path) -> Path:
    """A copy of it to spoil."""
    for name in ("laserve.db", "laserve.db.log-id"):
        shutil.copy(filled / name, tmp_path)
    return tmp_path


def ask(server: Server) -> httpx.Response:
    return server.client.post("/generate", json={"prompt": "north of the river", "n": 2})


def tell(server: Server, decision_id: str, reward: float = 1.0) -> httpx.Response:
    return server.client.post("/feedback", json={"decision_id": decision_id, "reward": reward})


def check_refused(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["error"]["code"] == "store_error"
    assert int(answer.headers["retry-after"]) >= 1


def check_not_ready(server: Server) -> str:
    """The reason that `/readyz` gives, again and again."""
    for _ in range(5):
        readiness = server.client.get("/readyz")
        assert (readiness.status_code, readiness.json()["store"]) == (503, "failed")
        assert metric(server, "laserve_store_refusing") == 1
        assert metric(server, "laserve_ready") == 0
    return str(readiness.json()["why"]["store"])


def until_ready(server: Server) -> None:
    until(lambda: server.client.get("/readyz").status_code == 200)
    assert metric(server, "laserve_store_refusing") == 0


#: What is written to these tables fails, all else succeeds.
FAILURES = {
    "a trigger on decisions": (
        "CREATE TRIGGER no BEFORE INSERT ON decisions BEGIN SELECT RAISE(ABORT, 'not today'); END",
        "DROP TRIGGER no",
        "decisions",
    ),
    "a trigger on events": (
        "CREATE TRIGGER no BEFORE INSERT ON events BEGIN SELECT RAISE(ABORT, 'not today'); END",
        "DROP TRIGGER no",
        "events",
    ),
    "a trigger on feedback": (
        "CREATE TRIGGER no BEFORE INSERT ON feedback BEGIN SELECT RAISE(ABORT, 'not today'); END",
        "DROP TRIGGER no",
        "events",
    ),
    "no table of decisions": (
        "ALTER TABLE decisions RENAME TO away",
        "ALTER TABLE away RENAME TO decisions",
        "both",
    ),
    "no table of events": (
        "ALTER TABLE events RENAME TO away",
        "ALTER TABLE away RENAME TO events",
        "events",
    ),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
def test_a_service_is_not_ready_while_writes_of_one_sort_fail_and_ready_once_they_succeed(
    copy: Path, failure: tuple[str, str, str]
) -> None:
    breaking, mending, what = failure
    with serving(copy / "log", *FAKE, env=on_disk(copy)) as server:
        known = [ask(server).json()["decision_id"] for _ in range(3)]
        sql(copy, breaking)
        for decision_id in known[:2]:
            if what != "decisions":
                check_refused(tell(server, decision_id))
                check_not_ready(server)
            if what != "events":
                check_refused(ask(server))
                check_not_ready(server)
        if what == "decisions":  # that these are taken says nothing about those
            assert tell(server, known[0]).json()["learned"]
        check_not_ready(server)
        check_refused(ask(server))
        sql(copy, mending)
        until_ready(server)
        assert tell(server, ask(server).json()["decision_id"]).status_code == 200
        assert tell(server, known[2]).status_code == 200
        assert server.client.get("/readyz").status_code == 200
        digest = server.client.get("/policy").json()["digest"]
        assert server.stop() == 0
        assert "Traceback" not in server.output()
    assert verified_digest(copy) == digest
    assert sql(copy, "SELECT count(*) FROM decisions WHERE id = 'laserve probe'") == [(0,)]
    assert sql(copy, "SELECT count(*) FROM events WHERE position < 1") == [(0,)]
    assert sql(copy, "SELECT count(*) FROM feedback WHERE identity = 'laserve probe'") == [(0,)]


def test_a_passing_test_write_is_not_believed_while_writes_of_decisions_fail(copy: Path) -> None:
    with serving(copy / "log", *FAKE, env=on_disk(copy)) as server:
        sql(
            copy,
            "CREATE TRIGGER no BEFORE INSERT ON decisions WHEN NEW.id <> 'laserve probe' "
            "BEGIN SELECT RAISE(ABORT, 'not today'); END",
        )
        for _ in range(3):
            check_refused(ask(server))
        # Looks in the background, each with a test write that passes, change nothing about it.
        looks = 0

        def look() -> bool:
            nonlocal looks
            assert server.client.get("/readyz").status_code == 503
            looks += 1
            return looks > 200

        until(look, timeout_s=60)
        assert "not today" in check_not_ready(server)
        before = metric(server, "laserve_store_refusing")
        check_refused(ask(server))  # at the door, before anything is generated
        assert (before, metric(server, "laserve_store_refusing")) == (1, 1)


def test_writes_that_succeed_again_end_the_doubt_at_once(copy: Path) -> None:
    with serving(copy / "log", *FAKE, env=on_disk(copy)) as server:
        known = ask(server).json()["decision_id"]
        sql(
            copy,
            "CREATE TRIGGER no BEFORE INSERT ON events WHEN NEW.position > 0 "
            "BEGIN SELECT RAISE(ABORT, 'not today'); END",
        )
        for _ in range(2):
            check_refused(tell(server, known))
            until_ready(server)  # by a test write
        check_refused(tell(server, known))
        assert "not today" in check_not_ready(server)
        sql(copy, "DROP TRIGGER no")
        check_not_ready(server)
        assert tell(server, known).status_code == 200
        assert server.client.get("/readyz").status_code == 200
        assert metric(server, "laserve_store_refusing") == 0


def cut_in_half(database: Path) -> None:
    os.truncate(database, database.stat().st_size // 2)


def overwritten_by_nothing(database: Path) -> None:
    database.write_bytes(b"")


@pytest.mark.parametrize("cut", [cut_in_half, overwritten_by_nothing])
@pytest.mark.parametrize("request_first", [False, True], ids=["background look", "request"])
def test_a_file_that_was_cut_takes_no_write_until_it_is_whole_again(
    copy: Path, cut: Callable[[Path], Any], request_first: bool
) -> None:
    with serving(copy / "log", *FAKE, env=on_disk(copy)) as server:
        known = sql(copy, "SELECT id FROM decisions WHERE id NOT LIKE 'd-%'")[0][0]
        whole = (copy / "laserve.db").read_bytes()
        cut(copy / "laserve.db")
        if request_first:
            check_refused(ask(server))
            check_refused(tell(server, known, 0.5))
        until(lambda: metric(server, "laserve_store_refusing") == 1)
        check_not_ready(server)
        for _ in range(3):
            check_refused(ask(server))
            check_refused(tell(server, known, 0.5))
            check_not_ready(server)
        assert server.client.get("/healthz").status_code == 200
        assert "Traceback" not in server.output()
        with (copy / "laserve.db").open("r+b") as file:
            file.write(whole)
        until_ready(server)
        assert tell(server, ask(server).json()["decision_id"]).status_code == 200
        digest = server.client.get("/policy").json()["digest"]
        assert server.stop() == 0
    assert verified_digest(copy) == digest
    assert sql(copy, "PRAGMA integrity_check") == [("ok",)]


def test_a_file_that_was_vacuumed_is_checked_once_and_written_on(copy: Path) -> None:
    with serving(copy / "log", *FAKE, env=on_disk(copy)) as server:
        sql(copy, "UPDATE decisions SET texts = NULL WHERE id LIKE 'd-%'")
        size = (copy / "laserve.db").stat().st_size
        sql(copy, "VACUUM")
        sql(copy, "PRAGMA wal_checkpoint(TRUNCATE)")
        assert (copy / "laserve.db").stat().st_size < size / 2
        assert tell(server, ask(server).json()["decision_id"]).status_code == 200
        until_ready(server)
        digest = server.client.get("/policy").json()["digest"]
    assert verified_digest(copy) == digest
