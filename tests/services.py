"""The service on its fake profile, in this process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from builders import make_request
from laserve.config import load as load_settings
from laserve.serve.lifespan import load, running
from laserve.serve.wiring import make_service
from laserve.service import Service
from laserve.types import Decision


@asynccontextmanager
async def fake_service(**flags: Any) -> AsyncIterator[Service]:
    """A service with these settings, its arms loaded."""
    made = make_service(load_settings(profile="fake", flags=flags))
    async with running(made):
        await load(made)
        yield made


async def answered(service: Service, **changes: Any) -> Decision:
    """The decision on one request."""
    async for step in service.answerer.answer(make_request(**changes), key=""):
        if isinstance(step, Decision):
            return step
    raise AssertionError("no decision")
