"""How the service comes down."""

import asyncio
from typing import Any

import pytest

from laserve.config import load
from laserve.errors import ConfigError
from laserve.serve.lifespan import generating, running, scoring
from laserve.serve.wiring import make_scorers, make_service

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


@pytest.mark.parametrize("generator", [True, False])
async def test_without_a_log_the_parts_are_closed_in_the_reverse_order_in_which_they_need_each_other(
    generator: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load(profile="fake")
    service, scorers = make_service(settings), make_scorers(settings)
    parts: dict[str, Any] = {"arms": scorers.arms, "engines": scorers.engines, "encoder": scorers.encoder}
    if generator:
        parts = {
            "generator": service.generator,
            "arms": service.arms,
            "engines": service.engines,
            "encoder": service.context.encoder,
        }
    closed: list[str] = []
    for name, part in parts.items():

        async def close(name: str = name, close: Any = part.close) -> None:
            closed.append(name)
            await close()

        monkeypatch.setattr(part, "close", close)
    if generator:
        async with generating(service) as loaded:
            assert loaded.status == "ready"
    else:
        async with scoring(scorers) as arms:
            assert arms.ready
    assert closed == list(parts)


async def test_without_a_log_a_process_whose_arms_all_fail_to_load_does_not_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = load(profile="fake")
    service, scorers = make_service(settings), make_scorers(settings)
    for arms in (service.arms, scorers.arms):
        monkeypatch.setattr(arms, "load", _nothing)
    with pytest.raises(ConfigError, match=r"^arms: no arm could be loaded"):
        async with scoring(scorers):
            pass
    with pytest.raises(ConfigError, match=r"^arms: no arm could be loaded"):
        async with generating(service):
            pass


async def _nothing() -> None:
    pass
