"""The service under test, in its own process and folder."""

import asyncio
import json
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from laserve.config import ArmSettings, Settings, load
from laserve.errors import LaserveError
from laserve_client import AsyncClient, LaserveClientError

#: Limit in seconds for the restart of an engine, and for the stop of a service.
START_S = 600.0
#: Timeout of a request in seconds.
_TIMEOUT_S = 150.0
#: Name of an additional arm -> its fault.
ARMS = {"arm-hangs": "hang", "arm-raises": "raise"}


def settings_of(config: Path | None, profile: str | None, folder: Path) -> Settings:
    """The given settings, but with their own folder, and with additional arms that fail on demand.

    These arms fail while a file of their name is in the folder.
    """
    given = load(config=config, profile=profile)
    failing = [
        ArmSettings(
            name=name,
            kind="fake",
            options={"fault": does, "fault_file": str(folder / name)},
            timeout_s=1.0,
            circuit_open_s=1.0,
        )
        for name, does in ARMS.items()
    ]
    storage = given.storage.model_copy(update={"kind": "sqlite", "path": folder / "laserve.db"})
    return given.model_copy(update={"data_dir": folder, "storage": storage, "arms": (*given.arms, *failing)})


class Subject:
    """The service under test: a process with its own data folder.

    Args:
        arguments: arguments of ``laserve serve`` that `settings` were made from.
        folder: folder of the database, and of the files that make arms fail.
    """

    def __init__(self, settings: Settings, arguments: Sequence[str], folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        key = next(iter(settings.server.api_keys.values()), None)
        self._api_key = key.get_secret_value() if key else None
        self._command = [sys.executable, "-m", "laserve", "serve", "--host", "127.0.0.1", "--port", "0"]
        self._command += arguments
        self._output: deque[str] = deque(maxlen=30)
        self.process: asyncio.subprocess.Process
        #: Client of the present process; it repeats no call by itself, since attempts are counted and timed.
        self.client: AsyncClient
        self._clients = AsyncExitStack()

    async def start(self) -> None:
        """Start the process and wait until it is ready. Raises LaserveError when it ends first."""
        arms = [arm.model_dump() for arm in self.settings.arms]
        environment = {
            "LASERVE_DATA_DIR": str(self.folder),
            "LASERVE_STORAGE__KIND": "sqlite",
            "LASERVE_STORAGE__PATH": str(self.settings.database),
            "LASERVE_ARMS": json.dumps(arms),
            "LASERVE_LOG__LEVEL": "info",
            "LASERVE_LOG__FORMAT": "text",
        }
        self.process = await asyncio.create_subprocess_exec(
            *self._command,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | environment,
        )
        listening = asyncio.Event()
        self._reading = asyncio.create_task(self._read(self.process, listening))
        while not (listening.is_set() and await self.ready()):
            if self.process.returncode is not None:
                raise LaserveError("the service ended:\n" + "".join(self._output))
            await asyncio.sleep(0.02)

    async def _read(self, process: asyncio.subprocess.Process, listening: asyncio.Event) -> None:
        """Read its standard error, for the address and so that the pipe does not fill."""
        assert process.stderr is not None  # noqa: S101 - a pipe was requested
        async for line in process.stderr:
            self._output.append(line.decode(errors="replace"))
            if match := re.search(r"listening on (http://\S+?),", self._output[-1]):
                self.client = AsyncClient(match[1], self._api_key, timeout=_TIMEOUT_S, max_retries=0)
                self._clients.push_async_callback(self.client.aclose)
                listening.set()

    async def alive(self) -> bool:
        with suppress(LaserveClientError):
            return (await self.client.health()).status == "ok"
        return False

    async def ready(self) -> bool:
        with suppress(LaserveClientError):
            return (await self.client.ready()).status == "ready"
        return False

    async def end(self, number: signal.Signals) -> None:
        """Send a signal and wait. Raises LaserveError when the exit status is not the expected one."""
        self.process.send_signal(number)
        try:
            status = await asyncio.wait_for(self.process.wait(), START_S)
        except TimeoutError:
            raise LaserveError(f"the service did not end within {START_S:g} s") from None
        if status != (0 if number == signal.SIGTERM else -number):
            raise LaserveError(f"the service ended with {status}:\n" + "".join(self._output))

    async def close(self) -> None:
        await self._clients.aclose()
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        self._reading.cancel()

    async def stored(self, decisions: set[str]) -> dict[str, int]:
        """Decision -> feedbacks of clients on it, for those that the service has."""
        counts = {}
        for decision_id in decisions:
            with suppress(LaserveClientError):
                rows = (await self.client.decision(decision_id)).feedback
                counts[decision_id] = sum("default_reward" not in (row.body or {}) for row in rows)
        return counts

    def below(self, title: str) -> int:
        """Pid of a descendant of the server, by the start of its command line."""
        waiting = [self.process.pid]
        while waiting:
            for children in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
                for child in children.read_text(encoding="ascii").split():
                    if Path(f"/proc/{child}/cmdline").read_bytes().startswith(title.encode()):
                        return int(child)
                    waiting.append(int(child))
        raise LaserveError(f"the service has no process {title}")
