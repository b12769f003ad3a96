"""The processes of an engine end when their server is gone."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from laserve.engines.orphans import MARK, end_with_parent

#: A server that starts a process below it. What both hold is their standard output.
SERVER = """
import multiprocessing
import signal
import threading

from laserve.engines.orphans import end_with_parent


def work():
    end_with_parent()
    end_with_parent()
    print(*(thread.name for thread in threading.enumerate()), flush=True)
    signal.pause()


if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=work)
    process.start()
    print(process.pid, flush=True)
    process.join()
"""


@contextmanager
def killed_server(
    folder: Path, env: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[str], int, list[str]]]:
    """A server after kill -9, the pid of its child, and the names of the child's threads."""
    script = folder / "server.py"
    script.write_text(SERVER)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=env) as server:
        assert server.stdout is not None
        child = int(server.stdout.readline())
        threads = server.stdout.readline().split()
        server.kill()
        server.wait()
        yield server, child, threads


def test_a_process_below_a_server_ends_within_seconds_after_the_server_was_killed(tmp_path: Path) -> None:
    with killed_server(tmp_path, os.environ | {MARK: "1"}) as (server, _, threads):
        assert sorted(threads) == ["MainThread", "end-with-parent"]
        server.communicate(timeout=5)  # ends when nobody holds the output any more


def test_without_the_mark_nothing_watches_and_the_process_lives_on(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != MARK}
    with killed_server(tmp_path, env) as (server, child, threads):
        assert threads == ["MainThread"]
        with pytest.raises(subprocess.TimeoutExpired):
            server.communicate(timeout=1.5)
        os.kill(child, 9)
        server.communicate(timeout=5)


def test_the_server_itself_watches_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MARK, "1")
    before = threading.enumerate()
    end_with_parent()
    assert threading.enumerate() == before


@pytest.mark.parametrize("module", ["laserve.engines.orphans", "laserve.orphans"])
def test_entry_points_of_this_and_of_earlier_installations_lead_to_the_same_function(module: str) -> None:
    entry = EntryPoint("laserve", f"{module}:end_with_parent", "vllm.general_plugins")
    assert entry.load() is end_with_parent
