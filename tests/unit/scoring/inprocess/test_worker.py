"""Jobs of several requests on one thread, joined where they fit."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from laserve.scoring.inprocess.worker import Worker


class Recorder:
    """Squares numbers; remembers its batches; waits before the first one while it is held."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = threading.Event()
        self.go.set()

    def run(self, batch: Sequence[int]) -> Sequence[int]:
        self.go.wait(10)
        self.batches.append(list(batch))
        if 0 in batch:
            raise RuntimeError("no zeros")
        return [number * number for number in batch]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest_asyncio.fixture
async def worker(recorder: Recorder) -> AsyncIterator[Worker[int, int]]:
    worker = Worker[int, int](recorder.run, fits=lambda batch, job: sum(batch) + job <= 10, name="squares")
    yield worker
    recorder.go.set()
    await worker.close()


async def test_results_are_in_the_order_of_the_jobs(worker: Worker[int, int]) -> None:
    assert await worker.submit([3, 9, 1, 5]) == [9, 81, 1, 25]
    assert await worker.submit([]) == []


async def test_jobs_of_several_requests_share_a_batch_while_they_fit(
    worker: Worker[int, int], recorder: Recorder
) -> None:
    recorder.go.clear()
    first = asyncio.create_task(worker.submit([1]))
    await asyncio.sleep(0.05)  # until the thread has it
    others = [asyncio.create_task(worker.submit(jobs)) for jobs in ([4], [3, 9], [2])]
    await asyncio.sleep(0)
    recorder.go.set()
    assert await asyncio.gather(first, *others) == [[1], [16], [9, 81], [4]]
    assert recorder.batches == [[1], [4, 3, 2], [9]]


async def test_a_job_that_fits_nowhere_runs_alone(worker: Worker[int, int], recorder: Recorder) -> None:
    assert await worker.submit([50, 60]) == [2500, 3600]
    assert recorder.batches == [[50], [60]]


async def test_cancelled_jobs_that_have_not_begun_never_run(
    worker: Worker[int, int], recorder: Recorder
) -> None:
    recorder.go.clear()
    first = asyncio.create_task(worker.submit([1]))
    await asyncio.sleep(0.05)
    gone, stays = asyncio.create_task(worker.submit([2, 3])), asyncio.create_task(worker.submit([4]))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    recorder.go.set()
    assert await asyncio.gather(first, stays) == [[1], [16]]
    assert recorder.batches == [[1], [4]]


async def test_a_failed_batch_fails_its_jobs_alone(worker: Worker[int, int]) -> None:
    with pytest.raises(RuntimeError, match="no zeros"):
        await worker.submit([0])
    assert await worker.submit([2]) == [4]


async def test_closing_gives_up_what_has_not_begun(recorder: Recorder) -> None:
    worker = Worker[int, int](recorder.run, fits=lambda batch, job: False, name="squares")
    recorder.go.clear()
    under_way = asyncio.create_task(worker.submit([1, 2]))
    await asyncio.sleep(0.05)
    recorder.go.set()
    await worker.close()
    with pytest.raises(asyncio.CancelledError):
        await under_way
    assert [2] not in recorder.batches
