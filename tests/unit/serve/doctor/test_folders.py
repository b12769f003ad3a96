"""Checks of folders, file systems and the database, each moved by its real cause."""

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from laserve.config import load
from laserve.serve.doctor.folders import check_folders
from laserve.serve.doctor.report import Finding
from laserve.serve.lifespan import load as load_service
from laserve.serve.lifespan import running
from laserve.serve.wiring import make_service
from laserve.storage.held_file import HeldFile, is_held

SQLITE = {"storage": {"kind": "sqlite"}}


def found(
    folder: Path, *, prepares: bool = False, mounts: Path | None = None, **flags: Any
) -> dict[str, Finding]:
    """Check -> its finding, for a data folder and a cache folder."""
    given = {"data_dir": str(folder), "cache_dir": str(folder / "cache")} | SQLITE | flags
    settings = load(profile="fake", flags=given)
    more = {} if mounts is None else {"mounts": mounts}
    return {each.check: each for each in check_folders(settings, prepares=prepares, **more)}


def files(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def begun(folder: Path, **flags: Any) -> None:
    """A service that has been ready with this data folder, and has stopped."""

    async def serve() -> None:
        service = make_service(load(profile="fake", flags={"data_dir": str(folder)} | SQLITE | flags))
        async with running(service):
            await load_service(service)

    asyncio.run(serve())


def test_folders_that_do_not_exist_can_be_made_and_are_not(tmp_path: Path) -> None:
    checks = found(tmp_path / "new" / "data", prepares=True)
    assert {check: finding.status for check, finding in checks.items()} == {
        "data folder": "ok",
        "database": "ok",
        "cache folder": "ok",
    }
    assert checks["data folder"].fact.startswith(f"{tmp_path / 'new' / 'data'} can be made")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    finding = found(tmp_path / "data" / "inner")["data folder"]
    assert (finding.status, finding.fact) == ("error", f"{tmp_path / 'data'} is no folder")
    assert "data_dir" in finding.remedy


def test_a_link_to_nothing_in_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(tmp_path / "gone")
    assert found(tmp_path / "data")["data folder"].status == "error"


PROBE = """
import json, sys
from pathlib import Path
from laserve.config import load
from laserve.serve.doctor.folders import check_folders
flags = {"data_dir": sys.argv[1], "cache_dir": sys.argv[1], "storage": {"kind": "sqlite"}}
settings = load(profile="fake", flags=flags)
print(json.dumps([[f.check, f.status, f.fact] for f in check_folders(settings, prepares=True)]))
"""


def mounted(folder: Path, mount: str) -> dict[str, tuple[str, str]]:
    """Check -> status and fact, in a mount namespace of its own where `mount` has been run."""
    command = f'{mount} && exec "$0" -c "$1" "$2"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", command, sys.executable, PROBE, str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    return {check: (status, fact) for check, status, fact in json.loads(done.stdout)}


def test_a_file_system_that_is_read_only_is_an_error_for_root_too(tmp_path: Path) -> None:
    bind = f"mount --bind {tmp_path} {tmp_path} && mount -o remount,ro,bind {tmp_path}"
    checks = mounted(tmp_path, bind)
    assert checks["data folder"] == ("error", f"{tmp_path} cannot be written")
    assert checks["cache folder"] == ("error", f"{tmp_path} cannot be written")


def test_a_data_folder_in_memory_is_a_warning(tmp_path: Path) -> None:
    checks = mounted(tmp_path, f"mount -t tmpfs tmpfs {tmp_path}")
    status, fact = checks["data folder"]
    assert status == "warning"
    assert "(tmpfs): it is kept in memory, and lost when the machine stops" in fact
    assert checks["cache folder"][0] == "ok"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("nfs4", "warning"),
        ("cifs", "warning"),
        ("9p", "warning"),
        ("overlay", "warning"),
        ("xfs", "ok"),
        ("ext4", "ok"),
    ],
)
def test_other_file_systems_are_known_by_the_list_of_mounts(tmp_path: Path, kind: str, status: str) -> None:
    mounts = tmp_path / "mountinfo"
    lines = [
        "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw",
        f"23 22 0:5 / {tmp_path}/with\\040space rw - tmpfs tmpfs rw",
        f"24 22 0:6 / {tmp_path}/with\\040space rw shared:1 - {kind} somewhere rw",
        f"25 22 0:7 / {tmp_path}/with\\040space/data2 rw - ramfs none rw",
    ]
    mounts.write_text("\n".join(lines) + "\n")
    (tmp_path / "with space").mkdir()
    finding = found(tmp_path / "with space" / "data", mounts=mounts)["data folder"]
    assert finding.status == status
    assert f"({kind})" in finding.fact
    assert found(tmp_path / "other", mounts=mounts)["data folder"].status == "ok"


def test_a_cache_folder_matters_only_if_a_model_has_to_be_prepared(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    assert found(tmp_path)["cache folder"].status == "ok"
    finding = found(tmp_path, prepares=True)["cache folder"]
    assert finding.status == "error"
    assert "cache_dir" in finding.remedy


def test_a_log_in_memory_needs_no_folder(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    checks = found(tmp_path / "data" / "inner", storage={"kind": "memory"})
    assert checks["data folder"].status == "ok"
    assert "lost when the process ends" in checks["data folder"].fact


def test_a_database_with_a_log_of_these_settings_is_fine_and_stays_as_it_is(tmp_path: Path) -> None:
    begun(tmp_path)
    before, listed = files(tmp_path), sorted(tmp_path.iterdir())
    checks = found(tmp_path)
    assert {checks[name].status for name in ("data folder", "database", "log")} == {"ok"}
    assert checks["database"].fact == f"{tmp_path / 'laserve.db'} holds a log"
    assert (files(tmp_path), sorted(tmp_path.iterdir())) == (before, listed)


def test_a_log_of_other_settings_is_an_error_that_names_them_all(tmp_path: Path) -> None:
    begun(tmp_path, context={"tasks": ["one"]}, policy={"discount": 0.5, "learn_from": "thumb"})
    finding = found(tmp_path, context={"tasks": ["two"]}, policy={"learn_from": "reward"})["log"]
    assert finding.status == "error"
    assert finding.fact.split("; ") == [
        "policy.discount is 1.0, and the log was started with 0.5",
        "context.tasks is ['two'], and the log was started with ['one']",
        "policy.learn_from is 'reward', and this log learns from 'thumb'",
    ]


def test_a_database_that_another_process_holds_is_an_error(tmp_path: Path) -> None:
    begun(tmp_path)
    assert not is_held(tmp_path / "laserve.db")
    with held(tmp_path / "laserve.db"):
        finding = found(tmp_path)["database"]
        assert finding.status == "error"
        assert finding.fact.startswith(f"another process holds {tmp_path / 'laserve.db'}")
    assert found(tmp_path)["database"].status == "ok"
    file = HeldFile(tmp_path / "laserve.db")
    file.take()  # who looked holds nothing any more
    file.release()


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another process that holds the file as a service does, until the block ends."""
    program = (
        "import sys; from pathlib import Path; from laserve.storage.held_file import HeldFile;"
        "HeldFile(Path(sys.argv[1])).take(); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", f"{program}", str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    try:
        yield
    finally:
        process.communicate()


def test_a_database_that_is_gone_is_an_error(tmp_path: Path) -> None:
    begun(tmp_path)
    (tmp_path / "laserve.db").unlink()
    finding = found(tmp_path)["database"]
    assert finding.status == "error"
    assert "is gone, but it held a log" in finding.fact


def test_a_file_that_is_no_database_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "laserve.db").write_text("not a database, but long enough for a header" * 100)
    finding = found(tmp_path)["database"]
    assert finding.status == "warning"
    assert "cannot be read: file is not a database" in finding.fact


def test_a_database_of_a_start_that_was_never_ready_holds_no_log(tmp_path: Path) -> None:
    async def start() -> None:
        async with running(make_service(load(profile="fake", flags={"data_dir": str(tmp_path)} | SQLITE))):
            pass

    asyncio.run(start())
    checks = found(tmp_path, context={"tasks": ["other"]})
    assert checks["database"].fact == f"{tmp_path / 'laserve.db'} holds no log"
    assert "log" not in checks


def test_a_log_of_a_process_that_was_killed_is_read_and_left_as_it_is(tmp_path: Path) -> None:
    begun(tmp_path, context={"tasks": ["one"]})
    killed = tmp_path / "killed"
    killed.mkdir()
    with closing(sqlite3.connect(tmp_path / "laserve.db")) as database:
        database.execute("UPDATE events SET created_at = ?", (time.time() + 3700,))
        database.commit()
        for file in ("laserve.db", "laserve.db-wal"):  # as a killed process leaves them
            (killed / file).write_bytes((tmp_path / file).read_bytes())
    before = files(killed)
    checks = found(killed, context={"tasks": ["two"]})
    assert (checks["log"].status, checks["clock"].status) == ("error", "warning")
    assert files(killed) == before


def test_a_clock_behind_the_log_is_a_warning(tmp_path: Path) -> None:
    begun(tmp_path)
    assert "clock" not in found(tmp_path)
    with closing(sqlite3.connect(tmp_path / "laserve.db")) as database:
        database.execute("UPDATE events SET created_at = ?", (time.time() + 3700,))
        database.commit()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finding = found(tmp_path)["clock"]
    assert finding.status == "warning"
    assert "behind the newest event" in finding.fact
