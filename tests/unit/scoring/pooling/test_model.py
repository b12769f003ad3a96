"""What an arm leaves behind on an engine that it shares; the engine itself is not there."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from laserve.engines import kv_cache
from laserve.errors import ConfigError, EngineError
from laserve.metrics import Metrics
from laserve.scoring.pooling.engines import PoolingEngine
from laserve.scoring.pooling.model import VllmRewardModel
from laserve.scoring.pooling.spec import EngineSpec


class Engines:
    """Counts who uses its only engine, and the adapters on that."""

    def __init__(self) -> None:
        self.users = 0
        self.adapters: list[str] = []
        self.go = asyncio.Event()
        self.go.set()

    async def acquire(self, spec: EngineSpec) -> "Engines":
        self.users += 1
        return self

    async def release(self, spec: EngineSpec) -> None:
        self.users -= 1

    async def add_adapter(self, folder: str) -> None:
        self.adapters.append(folder)

    async def remove_adapter(self, folder: str) -> None:
        await self.go.wait()
        self.adapters.remove(folder)


def arm(engines: Engines, folder: Path, monkeypatch: pytest.MonkeyPatch) -> VllmRewardModel:
    model = VllmRewardModel(engines=engines, cache_dir=folder, model=str(folder), adapter="/adapter")  # type: ignore[arg-type]
    monkeypatch.setattr(model, "_check", lambda: spec(folder))
    return model


def spec(folder: Path) -> EngineSpec:
    return EngineSpec.of(str(folder), adapters=True, max_model_len=None, engine_args={})


def made(of: EngineSpec) -> PoolingEngine:
    return PoolingEngine(
        of, name="rm-base", metrics=Metrics(), turn=threading.Lock(), expected=kv_cache.load()
    )


async def test_an_arm_without_a_tokenizer_leaves_no_adapter_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines = Engines()
    with pytest.raises(ConfigError, match="no tokenizer"):
        await arm(engines, tmp_path, monkeypatch).load()
    assert (engines.users, engines.adapters) == (0, [])


async def test_an_arm_whose_closing_is_cancelled_gives_its_engine_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("laserve.scoring.pooling.model.FolderTokenizer", lambda *arguments, **options: None)
    engines = Engines()
    model = arm(engines, tmp_path, monkeypatch)
    await model.load()
    engines.go.clear()
    closing = asyncio.create_task(model.close())
    await asyncio.sleep(0)
    assert engines.users == 1
    closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)
    assert engines.users == 0


async def test_an_arm_may_close_while_its_engine_is_proved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = made(spec(tmp_path))
    engine._adapters = {"one": 1, "two": 2}
    proved: list[Any] = []

    class Proving:
        llm: Any

        async def add_lora(self, adapter: Any) -> None:
            engine._adapters.pop("two", None)

    proving = Proving()
    proving.llm = proving

    async def encode(llm: Any, ids: Any, lora: Any) -> float:
        proved.append(lora)
        return 0.0

    monkeypatch.setattr(engine, "_encode", encode)
    await engine._prove(proving)  # type: ignore[arg-type]
    assert proved == [1, 2]


async def test_an_adapter_that_has_gone_is_an_engine_error(tmp_path: Path) -> None:
    engine = made(spec(tmp_path))
    with pytest.raises(EngineError, match="has been removed"):
        await engine.encode([1], "gone")
