import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from laserve.errors import Conflict, LaserveError, StoreError
from laserve.storage.batching import GroupCommit

#: Only the bound of a test that would otherwise hang.
SOON_S = 2.0


class Ledger:
    """Commits numbers and gives them back doubled; waits at a gate that the test may shut."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.errors: dict[int, LaserveError] = {}
        self.refuse: Exception | None = None
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def commit(self, items: Sequence[int]) -> Sequence[int | LaserveError]:
        self.entered.set()
        await self.gate.wait()
        if self.refuse is not None:
            raise self.refuse
        self.batches.append(list(items))
        return [self.errors.get(item) or 2 * item for item in items]

    @property
    def written(self) -> list[int]:
        return [item for batch in self.batches for item in batch]


@pytest.fixture
async def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
async def group(ledger: Ledger) -> AsyncIterator[GroupCommit[int, int]]:
    made: GroupCommit[int, int] = GroupCommit(ledger.commit, max_batch=4)
    made.start()
    yield made
    ledger.gate.set()
    await made.close()


async def blocked(group: GroupCommit[int, int], ledger: Ledger, item: int = 0) -> asyncio.Task[int]:
    """Start a commit of one item that stays under way until the gate is opened."""
    ledger.gate.clear()
    first = asyncio.create_task(group.submit(item))
    await ledger.entered.wait()
    return first


async def opened(ledger: Ledger) -> None:
    """Open the gate; gathered last, it runs after all submits before it have queued their items."""
    ledger.gate.set()


async def test_a_lone_item_is_committed_at_once(group: GroupCommit[int, int], ledger: Ledger) -> None:
    assert await group.submit(21) == 42
    assert ledger.batches == [[21]]


async def test_what_arrives_during_a_commit_goes_into_the_next_together(
    group: GroupCommit[int, int], ledger: Ledger
) -> None:
    first = await blocked(group, ledger)
    await asyncio.gather(*(group.submit(item) for item in (1, 2, 3)), opened(ledger))
    assert await first == 0
    assert ledger.batches == [[0], [1, 2, 3]]


async def test_a_batch_is_no_larger_than_its_bound_and_order_is_kept(
    group: GroupCommit[int, int], ledger: Ledger
) -> None:
    await blocked(group, ledger)
    *results, _ = await asyncio.gather(*(group.submit(item) for item in range(1, 11)), opened(ledger))
    assert results == [2 * item for item in range(1, 11)]
    assert ledger.batches == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]


async def test_many_callers_at_once_each_get_their_own_result(
    group: GroupCommit[int, int], ledger: Ledger
) -> None:
    async def caller(number: int) -> list[int]:
        return [await group.submit(100 * number + step) for step in range(20)]

    results = await asyncio.gather(*(caller(number) for number in range(20)))

    for number, mine in enumerate(results):
        assert mine == [2 * (100 * number + step) for step in range(20)]
        # What one caller submits one after the other is written in that order.
        written = [item for item in ledger.written if item // 100 == number]
        assert written == sorted(written)
    assert sorted(ledger.written) == [100 * number + step for number in range(20) for step in range(20)]
    assert len(ledger.batches) < 400  # they shared commits


async def test_an_items_own_error_does_not_hurt_the_others(
    group: GroupCommit[int, int], ledger: Ledger
) -> None:
    ledger.errors[2] = Conflict("the second came before")
    await blocked(group, ledger)
    one, two, three, _ = await asyncio.gather(
        *(group.submit(item) for item in (1, 2, 3)), opened(ledger), return_exceptions=True
    )
    assert (one, three) == (2, 6)
    assert two is ledger.errors[2]
    assert ledger.batches == [[0], [1, 2, 3]]


async def test_a_commit_that_raises_fails_all_who_wait_for_it_and_no_one_after(
    group: GroupCommit[int, int], ledger: Ledger
) -> None:
    first = await blocked(group, ledger)
    ledger.refuse = StoreError("disk full")
    results = await asyncio.gather(
        first, *(group.submit(item) for item in (1, 2)), opened(ledger), return_exceptions=True
    )
    assert [str(result) for result in results[:3]] == ["disk full"] * 3
    assert ledger.written == []

    ledger.refuse = None
    assert await group.submit(5) == 10


async def test_an_unforeseen_error_of_a_commit_reaches_its_callers_too(
    group: GroupCommit[int, int], ledger: Ledger
) -> None:
    ledger.refuse = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        await group.submit(1)
    ledger.refuse = None
    assert await group.submit(2) == 4


@pytest.mark.parametrize("fails", [False, True])
async def test_a_caller_that_has_gone_harms_no_one(
    group: GroupCommit[int, int], ledger: Ledger, fails: bool
) -> None:
    first = await blocked(group, ledger)
    first.cancel()  # while its own commit is under way
    second, third = asyncio.create_task(group.submit(1)), asyncio.create_task(group.submit(2))
    if fails:
        ledger.errors[1] = Conflict("nobody hears this")

    async def leave() -> None:
        second.cancel()  # while it waits for the next commit
        ledger.gate.set()

    first_result, second_result, third_result, _ = await asyncio.gather(
        first, second, third, leave(), return_exceptions=True
    )
    assert isinstance(first_result, asyncio.CancelledError)
    assert isinstance(second_result, asyncio.CancelledError)
    assert third_result == 4
    assert await group.submit(3) == 6
    assert {0, 2, 3} <= set(ledger.written)  # what had been begun was ended


async def test_closing_commits_what_waits(group: GroupCommit[int, int], ledger: Ledger) -> None:
    first = await blocked(group, ledger)
    *results, _, _ = await asyncio.gather(
        first, *(group.submit(item) for item in range(1, 7)), group.close(), opened(ledger)
    )
    assert results == [0, 2, 4, 6, 8, 10, 12]
    assert ledger.written == [0, 1, 2, 3, 4, 5, 6]


async def test_nothing_is_taken_before_the_start_or_after_the_end(ledger: Ledger) -> None:
    group: GroupCommit[int, int] = GroupCommit(ledger.commit)
    with pytest.raises(StoreError, match="closed"):
        await group.submit(1)
    group.start()
    assert await group.submit(2) == 4
    await group.close()
    with pytest.raises(StoreError, match="closed"):
        await group.submit(3)
    assert ledger.written == [2]


async def test_closing_twice_or_unstarted_is_harmless(ledger: Ledger) -> None:
    group: GroupCommit[int, int] = GroupCommit(ledger.commit)
    await group.close()
    group.start()
    await group.close()
    await group.close()
    assert ledger.batches == []


async def test_an_item_that_arrives_while_closing_is_committed_or_refused_but_never_forgotten(
    ledger: Ledger,
) -> None:
    # A group of its own: closing it once more would wait for an item that was forgotten.
    group: GroupCommit[int, int] = GroupCommit(ledger.commit)
    group.start()
    assert await group.submit(1) == 2  # the worker waits for more
    async with asyncio.timeout(SOON_S):
        _, result = await asyncio.gather(group.close(), group.submit(2), return_exceptions=True)
    assert isinstance(result, StoreError) or (result == 4 and ledger.written == [1, 2])
