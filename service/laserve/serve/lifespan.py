"""Start and stop of the parts of a process, in order: a service, a generator with arms, or arms alone."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from laserve.arms.arms import Arms
from laserve.errors import ConfigError, LaserveError, StoreError
from laserve.feedback.defaults import DefaultRewards
from laserve.serve.wiring import Scorers
from laserve.service import Service

logger = logging.getLogger(__name__)

_EXPIRE_EVERY_S = 3600.0
_MEND_EVERY_S = 1.0
#: Seconds between two checks whether an arm has loaded.
_LOOK_EVERY_S = 0.1


@asynccontextmanager
async def running(service: Service) -> AsyncIterator[Service]:
    """Open the store, the encoder and the log, which must agree, and start the service's tasks.

    A new log is not begun here, nor are arms that join written: see `load`.

    Raises:
        ConfigError: a setting is wrong or contradicts the log, or another process holds the store.
        CorruptLog: the log does not verify.
    """
    async with AsyncExitStack() as stack:
        stack.push_async_callback(service.store.close)
        await service.store.open()
        stack.push_async_callback(service.context.encoder.close)
        await service.context.encoder.load()
        service.context.check()
        await service.opening.read()
        service.lifecycle.restore()
        stack.push_async_callback(service.log.close)
        await service.log.start()
        defaults = DefaultRewards(store=service.store, log=service.log, metrics=service.metrics)
        stack.push_async_callback(defaults.close)
        await defaults.start()
        stack.push_async_callback(service.answerer.close)
        service.answerer.start()
        for name, chore in (("expire-texts", _expire), ("mend-store", _mend)):
            stack.push_async_callback(_ended, asyncio.create_task(chore(service), name=name))
        stack.push_async_callback(service.engines.close)
        stack.push_async_callback(service.arms.close)
        stack.push_async_callback(service.lifecycle.close)
        stack.push_async_callback(service.shadows.close)
        service.shadows.start()
        stack.push_async_callback(service.generator.close)
        yield service


async def load(service: Service, ready: Callable[[], None] = lambda: None) -> None:
    """Load the arms and the generator, while the service already answers ``/healthz``.

    The generator's engine starts first: arms load beside it, but their own engines wait for it. When the
    generator and an arm have loaded, a new log is begun with these settings.

    Args:
        ready: called as soon as the service is ready, while other arms may still load.

    Raises:
        LaserveError: the generator cannot be loaded, or the log cannot be written. An arm that cannot be
            loaded is reported and left out.
    """
    loading = asyncio.create_task(service.arms.load(), name="load-arms")
    try:
        await _load_generator(service)
        service.engines.open()
        while not loading.done() and not service.arms.ready:
            await asyncio.wait({loading}, timeout=_LOOK_EVERY_S)
        if service.arms.ready:
            await service.opening.write()
            ready()
        await loading
    finally:
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)


@asynccontextmanager
async def generating(service: Service) -> AsyncIterator[Service]:
    """A service that generates and scores, but neither serves requests nor writes a log.

    Raises:
        ConfigError: a setting is wrong, or no arm could be loaded.
        LaserveError: the generator cannot be loaded.
    """
    scorers = Scorers(encoder=service.context.encoder, engines=service.engines, arms=service.arms)
    async with _held(scorers):
        service.context.check()
        try:
            await load(service)
            _check(service.arms)
            yield service
        finally:
            await service.generator.close()


@asynccontextmanager
async def scoring(scorers: Scorers) -> AsyncIterator[Arms]:
    """The loaded arms, without a generator and a log; an arm that cannot be loaded is left out.

    Raises:
        ConfigError: no arm could be loaded.
    """
    async with _held(scorers):
        await scorers.arms.load()
        _check(scorers.arms)
        yield scorers.arms


@asynccontextmanager
async def _held(scorers: Scorers) -> AsyncIterator[None]:
    """A context with the loaded encoder, which closes the arms, their engines and the encoder."""
    async with AsyncExitStack() as stack:
        stack.push_async_callback(scorers.encoder.close)
        await scorers.encoder.load()
        stack.push_async_callback(scorers.engines.close)
        stack.push_async_callback(scorers.arms.close)
        yield


def _check(arms: Arms) -> None:
    if not arms.ready:
        raise ConfigError.at("arms", "no arm could be loaded")


async def _load_generator(service: Service) -> None:
    try:
        await service.generator.start()
    except LaserveError:
        service.generator_state = "failed"
        raise
    service.permits.limit = service.settings.server.max_concurrent_requests or service.generator.concurrency
    service.generator_state = "ready"
    service.opening.allow()


async def _ended(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end, so that the parts that it uses are closed after it."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _expire(service: Service) -> None:
    """Remove texts that are older than ``storage.retention_days``."""
    while True:
        try:
            expired = await service.store.expire_texts(
                time.time() - service.settings.storage.retention_days * 86400
            )
        except StoreError as error:
            logger.warning("texts could not be expired: %s", error.message)
        else:
            if expired:
                logger.info("texts of %d decisions have expired", expired)
        await asyncio.sleep(_EXPIRE_EVERY_S)


async def _mend(service: Service) -> None:
    """Check regularly whether the store accepts writes, also while there are no requests."""
    while True:
        await asyncio.sleep(_MEND_EVERY_S)
        with suppress(StoreError):
            await service.store.check()
