"""Engines by specification: their names, which no two engines have at the same time."""

import asyncio

import pytest

from laserve.metrics import Metrics
from laserve.scoring.pooling.engines import PoolingEngine, PoolingEngines
from laserve.scoring.pooling.spec import EngineSpec


def spec(model: str, length: int) -> EngineSpec:
    return EngineSpec.of(f"/models/{model}", adapters=False, max_model_len=length, engine_args={})


async def test_engines_of_one_model_have_names_of_their_own_until_they_are_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closable = asyncio.Event()

    async def start(engine: PoolingEngine) -> None: ...

    async def close(engine: PoolingEngine) -> None:
        await closable.wait()

    monkeypatch.setattr(PoolingEngine, "start", start)  # no engine is needed to see its name
    monkeypatch.setattr(PoolingEngine, "close", close)
    engines = PoolingEngines(metrics=Metrics())
    first, second, third = spec("judge", 64), spec("judge", 128), spec("judge", 256)
    names = [(await engines.acquire(each)).name for each in (first, second, first, spec("other", 64))]
    assert names == ["rm-judge", "rm-judge-2", "rm-judge", "rm-other"]

    await engines.release(first)
    closing = asyncio.create_task(engines.release(first))
    await asyncio.sleep(0)
    assert (await engines.acquire(third)).name == "rm-judge-3"  # the first one still closes
    closable.set()
    await closing
    assert (await engines.acquire(first)).name == "rm-judge"
    await engines.close()
