"""Faults, and measurements of a service during one of them under load."""

import asyncio
import os
import resource
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from laserve.lab.bench.faults.load import Clients
from laserve.lab.bench.faults.subject import START_S, Subject

#: Limit in seconds until a fault takes effect.
_SHOW_S = 120.0


@dataclass(kw_only=True)
class Trial:
    """Measurements of one fault under load."""

    subject: Subject
    clients: Clients
    in_flight: int = 0
    ready_s: list[float] = field(default_factory=list)
    healthz_ms: list[float] = field(default_factory=list)

    async def repeat(self, name: str) -> None:
        """Cause the fault once, and wait until the service has recovered."""
        await self.progress()
        async with self._watching_health():
            self.in_flight = max(self.in_flight, self.clients.in_flight)
            since = await FAULTS[name](self)
            await self.until(self.subject.ready, f"{name}: ready again", START_S)
            self.ready_s.append(max(0.0, time.monotonic() - since))
        await self.progress()

    async def until(self, condition: Callable[[], Awaitable[bool]], what: str, timeout_s: float) -> None:
        await self.clients.until(condition, what, timeout_s)

    async def progress(self) -> None:
        """Wait until the clients have got as many acknowledgements as there are clients."""
        ledger = self.clients.ledger
        enough = len(ledger.feedback) + self.clients.count

        async def there() -> bool:
            return len(ledger.feedback) >= enough

        await self.until(there, "feedback is acknowledged", START_S)

    @asynccontextmanager
    async def _watching_health(self) -> AsyncIterator[None]:
        async def watch() -> None:
            while True:
                began = time.perf_counter()
                if await self.subject.alive():
                    self.healthz_ms.append((time.perf_counter() - began) * 1000)
                await asyncio.sleep(0.02)

        watching = asyncio.create_task(watch())
        try:
            yield
        finally:
            watching.cancel()


async def _engine_killed(trial: Trial, title: str) -> float:
    began = time.monotonic()
    os.kill(trial.subject.below(title), signal.SIGKILL)

    async def noticed() -> bool:
        return not await trial.subject.ready()

    await trial.until(noticed, "the engine's death is noticed", _SHOW_S)
    return began


async def _server_ended(trial: Trial, number: signal.Signals) -> float:
    began = time.monotonic()
    await trial.subject.end(number)
    await trial.subject.start()
    return began


async def _clients_gone(trial: Trial) -> float:
    trial.clients.leave()
    return time.monotonic()


async def _arm_fails(trial: Trial, name: str) -> float:
    """Make the arm fail until an answer is degraded."""
    ledger, file = trial.clients.ledger, trial.subject.folder / name
    before = ledger.degraded

    async def shown() -> bool:
        return ledger.degraded > before

    trial.clients.pinned = name
    file.touch()
    try:
        await trial.until(shown, f"{name} is named in an answer", _SHOW_S)
    finally:
        file.unlink()
        trial.clients.pinned = None
    return time.monotonic()


async def _disk_full(trial: Trial) -> float:
    """The server can write to no file, until it has refused a request and is not ready."""
    ledger, pid = trial.clients.ledger, trial.subject.process.pid
    before = ledger.refused[503]

    async def shown() -> bool:
        return ledger.refused[503] > before and not await trial.subject.ready()

    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        await trial.until(shown, "a full disk shows", _SHOW_S)
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
    return time.monotonic()


#: Name -> function that causes the fault and returns the monotonic time from which the service can recover.
FAULTS: dict[str, Callable[[Trial], Awaitable[float]]] = {
    "engine-killed": lambda trial: _engine_killed(trial, "VLLM::EngineCore"),
    "server-killed": lambda trial: _server_ended(trial, signal.SIGKILL),
    "server-stopped": lambda trial: _server_ended(trial, signal.SIGTERM),
    "clients-gone": _clients_gone,
    "arm-hangs": lambda trial: _arm_fails(trial, "arm-hangs"),
    "arm-raises": lambda trial: _arm_fails(trial, "arm-raises"),
    "disk-full": _disk_full,
}
