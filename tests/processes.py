"""`laserve serve` as a process of its own, with an HTTP client."""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

#: The command that runs the service.
LASERVE = (sys.executable, "-m", "laserve")


@dataclass
class Server:
    """A running service."""

    process: subprocess.Popen[bytes]
    log: Path
    url: str = ""
    client: httpx.Client = field(default_factory=httpx.Client)

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        """kill -9 of the server process."""
        self.process.kill()
        self.process.wait()

    def stop(self, timeout_s: float = 60) -> int:
        """SIGTERM, then wait for the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)


def launch(
    log: Path,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    through: Sequence[str] = (),
    program: Sequence[str] = LASERVE,
    folder: Path | None = None,
) -> Server:
    """Start `laserve serve` on a free port, without waiting.

    Args:
        through: a command that becomes the command behind it, such as `env -i`.
        program: the command in place of `laserve`.
        folder: the working directory of the server.
    """
    command = [*through, *program, "serve", "--port", "0", *arguments]
    with log.open("ab") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, cwd=folder, env=os.environ | dict(env or {})
        )
    return Server(process=process, log=log)


def wait_ready(server: Server, timeout_s: float = 60) -> None:
    """Wait until `/readyz` is ready and no arm is loading; fails with the log when the process ends first."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise AssertionError(f"the server ended with {server.process.returncode}:\n{server.output()}")
        if not server.url and (match := re.search(r"listening on (http://\S+?),", server.output())):
            server.url = match[1]
            server.client.close()
            server.client = httpx.Client(base_url=server.url, timeout=120)
        if server.url:
            try:
                answer = server.client.get("/readyz")
                if answer.status_code == 200 and "loading" not in answer.json()["arms"].values():
                    return
            except httpx.TransportError:
                pass  # not listening yet
        time.sleep(0.05)  # interval between polls of a real process; no test is synchronised by it
    raise AssertionError(f"not ready in {timeout_s} s:\n{server.output()}")


@contextmanager
def serving(
    log: Path,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 60,
    program: Sequence[str] = LASERVE,
) -> Iterator[Server]:
    """A ready service, stopped when the block ends; arguments as of `launch`."""
    server = launch(log, *arguments, env=env, program=program)
    try:
        wait_ready(server, timeout_s)
        yield server
    finally:
        server.client.close()
        if server.process.poll() is None:
            server.stop()


@contextmanager
def no_file_over(server: Server, size: int) -> Iterator[None]:
    """Within the block, no file of the server grows over a size; writes beyond it fail, as on a full disk."""
    assert size > server.log.stat().st_size + 64 * 1024  # room for the server's own log lines
    before = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def disk_full(server: Server, database: Path) -> Iterator[None]:
    """Within the block, the server's database has no room for another write."""
    with no_file_over(server, Path(f"{database}-wal").stat().st_size):
        yield
