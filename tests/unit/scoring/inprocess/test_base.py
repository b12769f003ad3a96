"""What a model in this process reads and keeps of prompts; and what is said of one that cannot be loaded."""

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from builders import make_candidates, make_request
from laserve.errors import ArmFailed, ConfigError, LaserveError
from laserve.scoring.inprocess.base import Backend, InProcess, Job

CANDIDATES = make_candidates("a", "b c", "")
#: Tokens of the longest text.
LENGTH = 100


class Letters:
    """A token for each letter."""

    async def encode(self, text: str, *, literal: bool = False) -> Sequence[int]:
        return [ord(letter) for letter in text]

    async def frame(self, roles: Sequence[str]) -> Sequence[Sequence[int]]:
        return [[]] * (len(roles) + 1)


class Read:
    """A prompt that was read."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.length = len(ids)


class Counting:
    """Scores a candidate by its length and its prompt's, and counts the prompts that it reads."""

    tokenizer, max_model_len = Letters(), LENGTH

    def __init__(self) -> None:
        self.prompts: list[weakref.ref[Read]] = []
        self.failures: list[Exception] = []
        self.begun, self.go = threading.Event(), threading.Event()
        self.go.set()

    def read(self, ids: Sequence[int]) -> Any:
        self.begun.set()
        self.go.wait()
        if self.failures:
            raise self.failures.pop()
        read = Read(ids)
        self.prompts.append(weakref.ref(read))
        return read

    def fits(self, batch: Sequence[Job], job: Job) -> bool:
        return True

    def run(self, batch: Sequence[Job]) -> Sequence[Sequence[float]]:
        return [[float(read.length + len(ids))] for read, ids in batch]

    @property
    def kept(self) -> int:
        return sum(prompt() is not None for prompt in self.prompts)


@pytest.fixture
def backend() -> Counting:
    return Counting()


@pytest.fixture
async def model(backend: Counting) -> AsyncIterator[InProcess]:
    model = InProcess(lambda: backend, name="rm")
    await model.load()
    yield model
    backend.go.set()
    await model.close()


async def test_calls_at_once_and_later_read_a_prompt_once(model: InProcess, backend: Counting) -> None:
    with closing(model.open(make_request(question="who?"))) as reading:
        scores = await asyncio.gather(
            reading.prefill(), *(reading.score([candidate]) for candidate in CANDIDATES)
        )
        assert [float(score[0]) for score in scores[1:]] == [5.0, 7.0, 4.0]  # type: ignore[index]
        assert (await reading.score(CANDIDATES)).tolist() == [5.0, 7.0, 4.0]
    assert len(backend.prompts) == 1


async def test_a_prompt_is_read_once_whatever_becomes_of_the_request_object(
    model: InProcess, backend: Counting
) -> None:
    request = make_request(question="who?")
    with closing(model.open(request)) as reading:
        await reading.prefill()
        request = replace(request, timeout_s=1.0)
        gc.collect()
        await reading.score(CANDIDATES)
    assert len(backend.prompts) == 1


async def test_two_readings_of_one_request_share_nothing(model: InProcess, backend: Counting) -> None:
    request = make_request()
    with closing(model.open(request)) as one, closing(model.open(request)) as other:
        await one.prefill()
        await other.prefill()
        assert len(backend.prompts) == 2
        one.close()
        await other.score(CANDIDATES)
    assert len(backend.prompts) == 2


async def test_a_closed_reading_frees_its_prompt_at_once(model: InProcess, backend: Counting) -> None:
    reading, other = model.open(make_request()), model.open(make_request())
    for each in (reading, other):
        await each.score(CANDIDATES)
    await asyncio.sleep(0)  # until the loop has let go of the calls
    assert backend.kept == 2
    gc.disable()
    try:
        reading.close()
        assert [prompt() is None for prompt in backend.prompts] == [True, False]
    finally:
        gc.enable()
    other.close()
    assert backend.kept == 0


async def test_closing_while_the_prompt_is_read_keeps_nothing_of_it(
    model: InProcess, backend: Counting
) -> None:
    backend.go.clear()
    reading = model.open(make_request())
    task = asyncio.create_task(reading.score(CANDIDATES))
    await asyncio.to_thread(backend.begun.wait)
    task.cancel()
    reading.close()
    with pytest.raises(asyncio.CancelledError):
        await task
    backend.go.set()
    with closing(model.open(make_request())) as next_one:
        await next_one.prefill()
        assert len(model._kept) == 1
        await asyncio.sleep(0)  # until the loop has let go of the call
    assert backend.kept == 0


async def test_the_oldest_prompts_make_room_and_are_read_again(model: InProcess, backend: Counting) -> None:
    requests = [make_request(question=letter * 45) for letter in "abcdefghij"]
    readings = [model.open(request) for request in requests]
    for reading in readings:
        await reading.prefill()
    await asyncio.sleep(0)
    assert backend.kept == 8  # of 45 tokens each: four longest texts hold no more
    await readings[-1].score(CANDIDATES)
    assert len(backend.prompts) == 10
    assert (await readings[0].score(CANDIDATES)).tolist() == [46.0, 48.0, 45.0]
    assert len(backend.prompts) == 11
    for reading in readings:
        reading.close()
    assert backend.kept == 0


async def test_a_failure_to_read_is_not_kept(model: InProcess, backend: Counting) -> None:
    backend.failures.append(RuntimeError("out of memory"))
    with closing(model.open(make_request())) as reading:
        with pytest.raises(ArmFailed, match="out of memory"):
            await reading.prefill()
        await reading.score(CANDIDATES)


async def test_a_model_that_is_not_loaded_fails_where_it_is_asked() -> None:
    model = InProcess(Counting, name="rm")
    reading = model.open(make_request())
    with pytest.raises(ArmFailed, match="not loaded"):
        await reading.score(CANDIDATES)
    await model.close()


@pytest.mark.parametrize(
    ("raised", "expected", "message"),
    [
        (ImportError("No module named 'torch'"), ConfigError, "pip install"),
        (AssertionError("Torch not compiled with CUDA enabled"), ArmFailed, "CUDA"),
        (RuntimeError("out of memory"), ArmFailed, "out of memory"),
        (ConfigError("options.model: is none"), ConfigError, "is none"),
    ],
)
async def test_a_load_that_fails_raises_one_of_our_errors(
    raised: Exception, expected: type[LaserveError], message: str
) -> None:
    def load() -> Backend:
        raise raised

    model = InProcess(load, name="rm")
    with pytest.raises(expected, match=message):
        await model.load()
    await model.close()
