"""A value that is computed once, however many calls want it."""

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from laserve.scoring.once import Once


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
    value, compute = Once[int](), Counted()
    calls = [asyncio.create_task(value.get(compute)) for _ in range(5)]
    await asyncio.sleep(0)
    assert value.peek() is None
    compute.go.set()
    assert await asyncio.gather(*calls) == [1] * 5
    assert await value.get(compute) == 1
    assert value.peek() == 1


async def test_a_failure_is_raised_to_all_who_wait_and_not_kept() -> None:
    value, compute = Once[int](), Counted(ValueError("first"))
    calls = [asyncio.create_task(value.get(compute)) for _ in range(2)]
    await asyncio.sleep(0)
    compute.go.set()
    assert [str(each) for each in await asyncio.gather(*calls, return_exceptions=True)] == ["first"] * 2
    assert value.peek() is None
    assert await value.get(compute) == 2


async def test_one_who_gives_up_leaves_the_others_their_value() -> None:
    value, compute = Once[int](), Counted()
    first, second = (asyncio.create_task(value.get(compute)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    compute.go.set()
    assert await second == 1
    assert compute.cancelled == 0


async def test_when_all_have_given_up_the_computation_is_cancelled_and_begun_anew_by_the_next() -> None:
    value, compute = Once[int](), Counted()
    calls = [asyncio.create_task(value.get(compute)) for _ in range(3)]
    await asyncio.sleep(0)
    for call in calls:
        call.cancel()
    late = asyncio.create_task(value.get(compute))
    await asyncio.gather(*calls, return_exceptions=True)
    await asyncio.sleep(0)
    compute.go.set()
    assert await late == compute.begun
    assert compute.begun - compute.cancelled == 1


@pytest.mark.parametrize("ends", [Once.drop, Once.close], ids=["dropped", "closed"])
async def test_a_value_that_is_not_kept_any_more_goes_at_once(ends: Callable[[Once[Any]], None]) -> None:
    class Large:
        pass

    async def compute() -> Large:
        return Large()

    once = Once[Large]()
    value = weakref.ref(await once.get(compute))
    await asyncio.sleep(0)  # until the loop has let go of the call
    assert value() is not None
    gc.disable()
    try:
        ends(once)
        assert value() is None
    finally:
        gc.enable()


async def test_a_dropped_value_is_computed_again_and_one_under_way_is_not_dropped() -> None:
    value, compute = Once[int](), Counted()
    call = asyncio.create_task(value.get(compute))
    await asyncio.sleep(0)
    value.drop()
    compute.go.set()
    assert await call == await value.get(compute) == 1
    value.drop()
    assert value.peek() is None
    assert await value.get(compute) == 2


async def test_closing_cancels_what_is_under_way_and_there_is_no_call_after_it() -> None:
    value, compute = Once[int](), Counted()
    call = asyncio.create_task(value.get(compute))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    value.close()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (compute.begun, compute.cancelled) == (1, 1)
    with pytest.raises(RuntimeError, match="closed"):
        await value.get(compute)
    value.close()


async def test_a_failure_is_never_peeked_at() -> None:
    value, compute = Once[int](), Counted(ValueError("first"))
    compute.go.set()
    call = asyncio.create_task(value.get(compute))
    await asyncio.sleep(0)
    while value._computation is not None and not value._computation.task.done():
        await asyncio.sleep(0)
    assert value.peek() is None
    await asyncio.gather(call, return_exceptions=True)
