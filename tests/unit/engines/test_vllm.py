"""How an engine is closed; a stand-in has the parts of vLLM's that this touches."""

import asyncio
import logging
import os
from dataclasses import dataclass, field

import pytest

from laserve.engines.vllm import VllmEngine, VllmStart

logger = logging.getLogger("engine")


class Dead(Exception):
    """What the stand-in tells those who wait for a dead engine."""


@dataclass
class Outputs:
    """Stands in for vLLM's processor of outputs, with one request that waits."""

    waiting: "asyncio.Future[str]"

    def propagate_error(self, error: Exception) -> None:
        if not self.waiting.done():
            self.waiting.set_exception(error)


@dataclass
class Llm:
    """Stands in for vLLM's engine; from its shutdown on, whoever reads its outputs hears of its death."""

    loop: asyncio.AbstractEventLoop
    output_processor: Outputs
    dead_error: Exception = field(default_factory=Dead)
    outputs: "asyncio.Queue[Exception]" = field(default_factory=asyncio.Queue)
    output_handler: "asyncio.Task[None] | None" = None
    timeout: float | None = None

    async def read(self) -> None:
        try:
            raise await self.outputs.get()
        except Dead as error:
            logger.exception("reading has failed")
            self.output_processor.propagate_error(error)

    def shutdown(self, timeout: float) -> None:
        self.timeout = timeout
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.outputs.put_nowait, self.dead_error)


async def make(*, reading: bool) -> Llm:
    loop = asyncio.get_running_loop()
    llm = Llm(loop, Outputs(loop.create_future()))
    if reading:
        llm.output_handler = asyncio.create_task(llm.read())
        await asyncio.sleep(0)  # it waits for an output
    return llm


async def test_an_engine_that_is_closed_is_not_reported_dead(caplog: pytest.LogCaptureFixture) -> None:
    llm = await make(reading=True)
    await asyncio.to_thread(VllmEngine(llm).close)
    assert llm.timeout is not None
    assert llm.output_handler is not None
    await asyncio.wait({llm.output_handler})
    assert llm.output_handler.cancelled()
    assert caplog.records == []


async def test_who_waits_for_an_engine_that_is_closed_is_told() -> None:
    llm = await make(reading=True)
    await asyncio.to_thread(VllmEngine(llm).close)
    with pytest.raises(Dead):
        await llm.output_processor.waiting


async def test_an_engine_that_nobody_asked_anything_is_closed() -> None:
    llm = await make(reading=False)
    await asyncio.to_thread(VllmEngine(llm).close)
    assert llm.timeout is not None


def test_an_engine_whose_loop_is_gone_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    llm = asyncio.run(make(reading=True))
    VllmEngine(llm).close()
    assert llm.timeout is not None
    assert caplog.records == []


def test_what_a_killed_engine_held_is_freed_without_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONWARNINGS", raising=False)
    start, seen = VllmStart({}, section="options"), dict[str, str]()

    def first() -> VllmEngine:
        seen.update(os.environ)
        return VllmEngine(None)

    monkeypatch.setattr(start, "_first", first)
    start(None)
    assert seen["PYTHONWARNINGS"] == "ignore::UserWarning:multiprocessing.resource_tracker"
    assert "PYTHONWARNINGS" not in os.environ


def test_vllm_writes_its_log_to_standard_error_which_leaves_standard_output_to_tables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("VLLM_LOGGING_STREAM", raising=False)
    seen: dict[str, str] = {}
    start = VllmStart({}, section="generation")
    monkeypatch.setattr(start, "_first", lambda: seen.update(os.environ))
    start(None)
    assert seen["VLLM_LOGGING_STREAM"] == "ext://sys.stderr"
    assert "VLLM_LOGGING_STREAM" not in os.environ
