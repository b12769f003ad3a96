"""The serving process: opening, listening, loading, the announcement when ready, and the ordered stop."""

import asyncio
import logging
import math
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from laserve.api.app import create_app
from laserve.config import Settings
from laserve.engines.orphans import MARK
from laserve.errors import LaserveError
from laserve.serve import logging as logs
from laserve.serve.lifespan import load, running
from laserve.serve.listening import listen, publish, url_of
from laserve.serve.wiring import make_service
from laserve.service import ABORT_S, Service

logger = logging.getLogger(__name__)

#: Default environment variables, offline and quiet; engine processes inherit them.
_ENVIRONMENT = {
    MARK: "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "TORCH_LOGS": "-all",
    # The second warning concerns a killed engine's memory, which the warning process then frees.
    "PYTHONWARNINGS": "ignore::FutureWarning,ignore::UserWarning:multiprocessing.resource_tracker",
}


def run(settings: Settings) -> int:
    """Serve until a signal stops the process; returns the exit status."""
    logs.configure(level=settings.log.level, style=settings.log.format)
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    warnings.simplefilter("ignore", FutureWarning)  # warnings of libraries about their next versions
    try:
        return asyncio.run(_serve(settings))
    except asyncio.CancelledError:  # stopped by a signal before it listened
        return 0


class _Server(uvicorn.Server):
    """A uvicorn server that does not raise a caught signal again after serving.

    The signal would end the process before the engine and the store are closed.
    """

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _on_signal(act: Callable[[int], object]) -> None:
    """Set the action for SIGTERM and Ctrl-C."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, act, number)


def _stop(server: uvicorn.Server, service: Service, number: int) -> None:
    """Accept no new requests; those under way may end within ``server.drain_s`` or until a second signal."""
    if server.should_exit:
        service.underway.abort()
        return
    service.generator.retire()
    service.engines.retire()
    asyncio.get_running_loop().call_later(service.settings.server.drain_s, service.underway.abort)
    server.handle_exit(number, None)


async def _serve(settings: Settings) -> int:
    this = asyncio.current_task()
    _on_signal(lambda _number: this.cancel() if this else None)
    listener = listen(settings.server.host, settings.server.port)  # before models are loaded
    url = url_of(listener)
    service = await asyncio.to_thread(make_service, settings)  # may prepare models, which blocks
    async with running(service):
        server = _Server(
            uvicorn.Config(
                create_app(service),
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=math.ceil(settings.server.drain_s + ABORT_S),
            )
        )
        _on_signal(lambda number: _stop(server, service, number))
        loading = asyncio.create_task(load(service, lambda: _announce(settings, url, service)), name="load")

        def loaded(task: asyncio.Task[None]) -> None:
            if task.cancelled():
                return
            if (error := task.exception()) is not None:
                server.should_exit = True
                if not isinstance(error, LaserveError):
                    logger.error("loading failed", exc_info=error)
            else:
                logger.info("loaded, arms: %s", ", ".join(service.arms.ready))

        loading.add_done_callback(loaded)
        logger.info("listening on %s, loading", url)
        publish(url)
        await server.serve(sockets=[listener])
        logger.info("stopping")
        if not loading.done():
            loading.cancel()
        (outcome,) = await asyncio.gather(loading, return_exceptions=True)
        if isinstance(outcome, LaserveError):
            raise outcome
        return 1 if isinstance(outcome, Exception) else 0


def _announce(settings: Settings, url: str, service: Service) -> None:
    arms = ", ".join(service.arms.ready)
    if loading := [arm.name for arm in service.arms if arm.state == "loading"]:
        arms += f"; loading: {', '.join(loading)}"
    key = ' -H "Authorization: Bearer $KEY"' if settings.server.api_keys else ""
    lines = (
        "",
        f"laserve is ready: {url}   (API: {url}/docs, arms: {arms})",
        "Try:",
        f"  curl -s {url}/generate{key} -H 'Content-Type: application/json' -d '"
        '{"question": "When was the Orrin bridge opened?", "documents": [{"title": "Orrin", '
        '"text": "The bridge of Orrin was opened in 1907 by the mayor."}]}\'',
        "",
    )
    print("\n".join(lines), file=sys.stderr, flush=True)  # noqa: T201 - for the person who started it
