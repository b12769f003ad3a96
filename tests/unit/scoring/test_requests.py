"""What is computed once for a request."""

import asyncio
import gc
import weakref
from dataclasses import replace

import pytest

from builders import make_request
from laserve.scoring.requests import PerRequest


class Counted:
    """Computes a number, the next one each time, when it is let."""

    def __init__(self, *failures: Exception) -> None:
        self.begun = 0
        self.cancelled = 0
        self.go = asyncio.Event()
        self._failures = list(failures)

    async def __call__(self) -> int:
        self.begun += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self._failures:
            raise self._failures.pop(0)
        return self.begun


async def test_calls_at_once_share_one_computation() -> None:
    values, compute, request = PerRequest[int](), Counted(), make_request()
    calls = [asyncio.create_task(values.get(request, compute)) for _ in range(5)]
    await asyncio.sleep(0)
    assert values.peek(request) is None
    compute.go.set()
    assert await asyncio.gather(*calls) == [1] * 5
    assert await values.get(request, compute) == 1
    assert values.peek(request) == 1


async def test_requests_are_told_apart_by_identity() -> None:
    values, compute, request = PerRequest[int](), Counted(), make_request()
    compute.go.set()
    other = replace(request)
    assert other == request
    assert [await values.get(each, compute) for each in (request, other, request)] == [1, 2, 1]


async def test_a_value_goes_with_its_request() -> None:
    values, compute = PerRequest[int](), Counted()
    compute.go.set()
    for _ in range(3):
        request = make_request()
        await values.get(request, compute)
        assert len(values) == 1
        del request
        gc.collect()
        assert len(values) == 0


async def test_a_failure_is_raised_to_all_who_wait_and_not_kept() -> None:
    values, compute, request = PerRequest[int](), Counted(ValueError("first")), make_request()
    calls = [asyncio.create_task(values.get(request, compute)) for _ in range(2)]
    await asyncio.sleep(0)
    compute.go.set()
    assert [str(each) for each in await asyncio.gather(*calls, return_exceptions=True)] == ["first"] * 2
    assert values.peek(request) is None
    assert await values.get(request, compute) == 2


async def test_one_who_gives_up_leaves_the_others_their_value() -> None:
    values, compute, request = PerRequest[int](), Counted(), make_request()
    first, second = (asyncio.create_task(values.get(request, compute)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    compute.go.set()
    assert await second == 1
    assert compute.cancelled == 0


async def test_when_all_have_given_up_the_computation_is_cancelled_and_begun_anew_by_the_next() -> None:
    values, compute, request = PerRequest[int](), Counted(), make_request()
    calls = [asyncio.create_task(values.get(request, compute)) for _ in range(3)]
    await asyncio.sleep(0)
    for call in calls:
        call.cancel()
    late = asyncio.create_task(values.get(request, compute))
    await asyncio.gather(*calls, return_exceptions=True)
    await asyncio.sleep(0)
    compute.go.set()
    assert await late == compute.begun
    assert compute.begun - compute.cancelled == 1


async def test_a_dropped_value_goes_at_once() -> None:
    class Large:
        pass

    async def compute() -> Large:
        return Large()

    values, request = PerRequest[Large](), make_request()
    value = weakref.ref(await values.get(request, compute))
    await asyncio.sleep(0)  # until the loop has let go of the call
    assert value() is not None
    gc.disable()
    try:
        values.drop(request)
        assert value() is None
    finally:
        gc.enable()


async def test_a_failure_is_never_peeked_at() -> None:
    values, compute, request = PerRequest[int](), Counted(ValueError("first")), make_request()
    compute.go.set()
    call = asyncio.create_task(values.get(request, compute))
    await asyncio.sleep(0)
    while not next(iter(values._entries.values())).task.done():
        await asyncio.sleep(0)
    assert values.peek(request) is None
    await asyncio.gather(call, return_exceptions=True)
