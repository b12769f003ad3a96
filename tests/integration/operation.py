"""What operators do with a data folder: run commands on it, look into its file."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from acceptance.wire import samples
from laserve.cli import main
from processes import Server, launch

#: The fake generator and encoder, so that a server is up in seconds.
FAKE = ("--profile", "fake")
VERIFY = ("state", "verify", *FAKE)


def on_disk(folder: Path, **more: str) -> dict[str, str]:
    """Environment that keeps the log in a folder; `more` names settings as `storage__snapshot_every`."""
    settings = {"data_dir": str(folder), "storage__kind": "sqlite"} | more
    return {f"LASERVE_{name.upper()}": value for name, value in settings.items()}


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str


def verify(folder: Path) -> Ended:
    """`laserve state verify`, as its users run it."""
    done = subprocess.run(
        [sys.executable, "-m", "laserve", *VERIFY],
        env=os.environ | on_disk(folder),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Ended(status=done.returncode, out=done.stdout, err=done.stderr)


def verify_here(folder: Path, *options: str) -> Ended:
    """The same command within this process, where it takes a tenth of the time."""
    done = CliRunner(env=on_disk(folder)).invoke(main, [*VERIFY, *options])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Ended(status=done.exit_code, out=done.stdout, err=done.stderr)


def verified_digest(folder: Path) -> str:
    """The digest that `laserve state verify` prints of a sound log."""
    done = verify_here(folder)
    assert done.status == 0, done.err
    return digest_in(done)


def digest_in(done: Ended) -> str:
    return done.out.rpartition("digest: ")[2].strip()


def sql(folder: Path, statement: str, *values: Any) -> list[Any]:
    """Run one statement on the database of a folder."""
    with closing(sqlite3.connect(folder / "laserve.db")) as connection, connection:
        return connection.execute(statement, values).fetchall()


def refused(log: Path, *arguments: str, env: Mapping[str, str] | None = None) -> str:
    """What a server says that ends at once with exit status 1, without a traceback."""
    server = launch(log, *FAKE, *arguments, env=env)
    try:
        # Far less than it takes to load a model; nothing is loaded before these checks.
        assert server.process.wait(30) == 1
    finally:
        server.process.kill()
        server.process.wait()
        server.client.close()
    assert "Traceback" not in server.output()
    assert server.output().startswith("laserve: ")
    return server.output()


def assert_one_line(said: str, *names: str) -> None:
    for name in names:
        assert name in said
    assert said.count("\n") == 1, said
    assert said.endswith("\n")


def metric(server: Server, name: str) -> float:
    """A sample without labels."""
    return samples(server.client.get("/metrics").text)[name, frozenset()]
