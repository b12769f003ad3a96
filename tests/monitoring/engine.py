"""An engine that dies on demand, watched by the real supervisor, whose metrics are served."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from prometheus_client import start_http_server

from laserve.engines.supervisor import Supervisor
from laserve.errors import EngineError
from laserve.metrics import Metrics


class Mortal:
    """An engine that lives until it gets a cause of death."""

    cause: str | None = None

    def cause_of_death(self) -> str | None:
        return self.cause

    def stop(self) -> None: ...

    def close(self) -> None: ...


@dataclass
class Mortals:
    """The engines of one supervisor."""

    port: int
    #: The engine that was started last.
    engine: Mortal = field(default_factory=Mortal)
    #: Whether a start works.
    startable: bool = True

    def start(self, dead: Mortal | None) -> Mortal:
        if not self.startable:
            raise EngineError("no room for another engine")
        self.engine = Mortal()
        return self.engine

    async def prove(self, engine: Mortal) -> None: ...

    def interrupt(self) -> None: ...

    def kill(self) -> None:
        """Let the engine die, and no other start until `startable` is set."""
        self.startable = False
        self.engine.cause = "killed"


@contextmanager
def mortal_engine(port: int) -> Iterator[Mortals]:
    """A supervised engine, its metrics at this port, until the block ends."""
    mortals, metrics, done = Mortals(port), Metrics(), threading.Event()

    async def supervise() -> None:
        supervisor = Supervisor(
            "generator",
            start=mortals.start,
            prove=mortals.prove,
            interrupt=mortals.interrupt,
            metrics=metrics,
            first_pause_s=0.5,
            longest_pause_s=1.0,
        )
        await supervisor.start()
        await asyncio.to_thread(done.wait)
        await supervisor.close()

    thread = threading.Thread(target=lambda: asyncio.run(supervise()))
    served = metrics.registry.restricted_registry(["laserve_engine_up", "laserve_engine_restarts_total"])
    server, serving = start_http_server(port, addr="127.0.0.1", registry=served)
    thread.start()
    try:
        yield mortals
    finally:
        mortals.startable = True
        done.set()
        thread.join()
        server.shutdown()
        server.server_close()
        serving.join()
