"""A database whose files go while it is open: nothing more is acknowledged, and nothing that was is lost."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from acceptance.wire import until
from integration.operation import FAKE, assert_one_line, digest_in, metric, on_disk, refused, sql, verify_here
from processes import Server, serving

PAIRS = 8


@dataclass(kw_only=True)
class Acknowledged:
    """What a server has said that it keeps."""

    decisions: set[str] = field(default_factory=set)
    feedback: set[str] = field(default_factory=set)
    digest: str = ""


def use(server: Server, pairs: int = PAIRS) -> Acknowledged:
    """Decisions, each with feedback, and one without."""
    known = Acknowledged()
    for number in range(pairs + 1):
        answer = server.client.post("/generate", json={"prompt": f"river {number}", "n": 2})
        assert answer.status_code == 200, answer.text
        known.decisions.add(decision_id := answer.json()["decision_id"])
        if number < pairs:
            told = server.client.post(
                "/feedback", json={"decision_id": decision_id, "reward": number / pairs}
            )
            assert told.status_code == 200, told.text
            known.feedback.add(decision_id)
    known.digest = server.client.get("/policy").json()["digest"]
    return known


def check_kept(folder: Path, known: Acknowledged) -> None:
    """A data folder holds all that was acknowledged, and a log that proves it."""
    done = verify_here(folder)
    assert done.status == 0, done.err
    assert digest_in(done) == known.digest
    assert {row[0] for row in sql(folder, "SELECT id FROM decisions")} == known.decisions
    assert {row[0] for row in sql(folder, "SELECT decision_id FROM feedback")} == known.feedback


def brought_back(database: Path, folder: Path) -> Path:
    """A fresh data folder that holds a copy of this database."""
    folder.mkdir()
    for end in ("", "-wal"):
        if (file := Path(f"{database}{end}")).exists():
            shutil.copy(file, folder / f"laserve.db{end}")
    return folder


def check_stopped(server: Server, known: Acknowledged, name: str = "laserve.db") -> None:
    """It has noticed by itself, says why, and acknowledges nothing."""
    until(lambda: metric(server, "laserve_store_refusing") == 1)
    readiness = server.client.get("/readyz")
    assert (readiness.status_code, readiness.json()["store"]) == (503, "failed")
    assert name in readiness.json()["why"]["store"]
    said = min(known.decisions)
    for path, body in (
        ("/generate", {"prompt": "later", "n": 2}),
        ("/feedback", {"decision_id": said, "reward": 1}),
        ("/feedback", {"decision_id": said, "thumb": "up"}),
    ):
        answer = server.client.post(path, json=body)
        assert answer.status_code == 503, answer.text
        assert answer.json()["error"]["code"] == "store_error"
        assert int(answer.headers["retry-after"]) >= 1
    assert server.client.delete(f"/decisions/{said}").status_code == 503
    assert server.client.get("/readyz").status_code == 503
    assert server.client.get("/healthz").status_code == 200


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What happens to the files."""

    happen: Callable[[Path], Any]
    #: What the reason names.
    name: str = "laserve.db"
    #: Where all that was acknowledged lies afterwards, beside the folder or in it.
    kept: str = "data/laserve.db.rescued"
    #: Whether the next start finds all of it without a hand.
    whole: bool = False


def remove(end: str) -> Callable[[Path], None]:
    return lambda folder: Path(f"{folder / 'laserve.db'}{end}").unlink()


def remove_all(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def replace_by_nothing(folder: Path) -> None:
    (folder / "fresh").touch()
    (folder / "fresh").replace(folder / "laserve.db")


def replace_by_a_copy(folder: Path) -> None:
    shutil.copy(folder / "laserve.db", folder / "fresh")
    (folder / "fresh").replace(folder / "laserve.db")


def point_elsewhere(folder: Path) -> None:
    (other := folder.with_name("other")).mkdir()
    folder.unlink()
    folder.symlink_to(other)


LOSSES = {
    "the database is removed": Loss(happen=remove("")),
    "all files are removed": Loss(happen=remove_all),
    "an empty file takes its place": Loss(happen=replace_by_nothing),
    "a copy takes its place": Loss(happen=replace_by_a_copy, whole=True),
    "the write-ahead log is removed": Loss(happen=remove("-wal"), name="laserve.db-wal"),
    "the shared memory is removed": Loss(happen=remove("-shm"), name="laserve.db-shm", whole=True),
    "a link leads to another folder": Loss(happen=point_elsewhere),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
def test_files_that_go_stop_the_service_and_all_that_was_acknowledged_is_kept(
    tmp_path: Path, loss: Loss
) -> None:
    folder = tmp_path / "data"
    (tmp_path / "real").mkdir()
    folder.symlink_to(tmp_path / "real")
    with serving(tmp_path / "log", *FAKE, env=on_disk(folder)) as server:
        known = use(server)
        loss.happen(folder)
        check_stopped(server, known, loss.name)
        assert server.stop() == 0
        assert "Traceback" not in server.output()
    check_kept(brought_back(tmp_path / loss.kept, tmp_path / "brought back"), known)

    if not loss.whole:
        said = refused(tmp_path / "refused", env=on_disk(folder))
        assert_one_line(said, "data_dir: ")
        assert str(folder / "laserve.db.rescued") in said
        for end in ("", "-wal", "-shm"):
            Path(f"{folder / 'laserve.db'}{end}").unlink(missing_ok=True)
        (folder / "laserve.db.rescued").rename(folder / "laserve.db")
    with serving(tmp_path / "log again", *FAKE, env=on_disk(folder)) as server:
        assert server.client.get("/policy").json()["digest"] == known.digest
        more = use(server)
    more.decisions |= known.decisions
    more.feedback |= known.feedback
    check_kept(folder, more)


def test_a_folder_that_is_moved_stops_the_service_and_is_whole_where_it_is_now(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with serving(tmp_path / "log", *FAKE, env=on_disk(folder)) as server:
        known = use(server)
        folder.rename(tmp_path / "moved")
        check_stopped(server, known)
        assert server.stop() == 0
        assert "Traceback" not in server.output()
    assert not folder.exists()
    check_kept(brought_back(tmp_path / "moved" / "laserve.db", tmp_path / "copy"), known)
    (tmp_path / "moved").rename(folder)
    with serving(tmp_path / "log again", *FAKE, env=on_disk(folder)) as server:
        assert server.client.get("/policy").json()["digest"] == known.digest


def test_a_start_that_finds_no_log_says_that_a_new_one_begins(tmp_path: Path) -> None:
    with serving(tmp_path / "log", *FAKE, env=on_disk(tmp_path / "data")) as server:
        assert (
            f"{tmp_path / 'data' / 'laserve.db'} holds no log: a new one begins when the service is ready"
            in server.output()
        )
    with serving(tmp_path / "log again", *FAKE, env=on_disk(tmp_path / "data")) as server:
        assert "a new one begins" not in server.output()


def test_a_stop_right_after_the_files_have_gone_saves_what_was_acknowledged(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with serving(tmp_path / "log", *FAKE, env=on_disk(folder)) as server:
        known = use(server)
        remove("")(folder)
        assert server.stop() == 0
    check_kept(brought_back(folder / "laserve.db.rescued", tmp_path / "brought back"), known)


def test_an_older_part_of_the_log_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with serving(tmp_path / "log", *FAKE, env=on_disk(folder)) as server:
        use(server)
    with serving(
        tmp_path / "log again", *FAKE, env=on_disk(folder)
    ) as server:  # the first part is in the file
        known = use(server, pairs=3)
        remove("-wal")(folder)
        check_stopped(server, known, "laserve.db-wal")
    said = refused(tmp_path / "refused", env=on_disk(folder))
    assert_one_line(said, "data_dir: ")
    assert "laserve.db.rescued" in said


def test_a_new_log_begins_where_the_id_of_the_old_one_was_removed(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with serving(tmp_path / "log", *FAKE, env=on_disk(folder)) as server:
        known = use(server)
    remove("")(folder)
    said = refused(tmp_path / "refused", env=on_disk(folder))
    assert_one_line(said, "data_dir: ")
    assert f"remove {folder / 'laserve.db.log-id'} to begin a new log" in said
    assert not (folder / "laserve.db").exists()

    (folder / "laserve.db.log-id").unlink()
    with serving(tmp_path / "log again", *FAKE, env=on_disk(folder)) as server:
        assert server.client.get("/policy").json()["digest"] != known.digest
        fresh = use(server, pairs=2)
    check_kept(folder, fresh)


def test_a_database_of_another_log_is_refused(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        with serving(tmp_path / f"log of {folder.name}", *FAKE, env=on_disk(folder)) as server:
            use(server, pairs=1)
    shutil.copy(other / "laserve.db", one / "laserve.db")
    said = refused(tmp_path / "refused", env=on_disk(one))
    assert_one_line(said, "data_dir: ")
    assert "another log" in said
    assert verify_here(one).status == 1


def test_a_process_whose_files_were_replaced_leaves_those_of_the_next_alone_when_it_stops(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data"
    with serving(tmp_path / "log of the first", *FAKE, env=on_disk(folder)) as first:
        known = use(first)
        (tmp_path / "moved").mkdir()
        for file in list(folder.iterdir()):
            file.rename(tmp_path / "moved" / file.name)
        check_stopped(first, known)
        for end in ("", "-wal"):
            shutil.copy(tmp_path / "moved" / f"laserve.db{end}", folder)
        with serving(tmp_path / "log of the second", *FAKE, env=on_disk(folder)) as second:
            more = use(second)
            before = {path.name for path in folder.iterdir()}
            assert first.stop() == 0
            assert {path.name for path in folder.iterdir()} == before
            second.kill()
    more.decisions |= known.decisions
    more.feedback |= known.feedback
    check_kept(folder, more)
