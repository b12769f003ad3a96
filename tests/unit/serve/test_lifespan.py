"""How the service comes down."""

import asyncio
from typing import Any

import pytest

from laserve.config import load
from laserve.serve.lifespan import running
from laserve.serve.wiring import make_service

CHORES = {"expire-texts", "mend-store"}


async def test_parts_are_closed_when_nothing_uses_them_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    service = make_service(load(profile="fake"))
    used, left = asyncio.Event(), []

    async def for_ever(*_: Any) -> None:
        used.set()
        try:
            await asyncio.Event().wait()
        finally:  # a transaction is rolled back
            await asyncio.sleep(0)
            left.append(len(closed))

    closed: list[set[str]] = []
    for part in (service.answerer, service.log, service.context.encoder, service.store):

        async def close(close: Any = part.close) -> None:
            closed.append({task.get_name() for task in asyncio.all_tasks()} & CHORES)
            await close()

        monkeypatch.setattr(part, "close", close)
    monkeypatch.setattr(service.store, "expire_texts", for_ever)

    async with running(service):
        await used.wait()
        assert {task.get_name() for task in asyncio.all_tasks()} >= CHORES
    assert closed == [set()] * 4
    assert left == [0]
