"""A thread that runs a model on joint batches of several requests."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

J = TypeVar("J")
R = TypeVar("R")
T = TypeVar("T")


class Worker(Generic[J, R]):
    """A thread that runs jobs in batches, oldest first, as many jobs per batch as fit.

    Args:
        run: a batch of jobs -> their results, in order; called on the thread.
        fits: whether a job may join a non-empty batch.
        name: name of the thread.
    """

    def __init__(
        self, run: Callable[[Sequence[J]], Sequence[R]], *, fits: Callable[[Sequence[J], J], bool], name: str
    ) -> None:
        self._run = run
        self._fits = fits
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._queue: list[tuple[J, asyncio.Future[R]]] = []
        self._draining: asyncio.Task[None] | None = None

    async def call(self, work: Callable[[], T]) -> T:
        """Run other work on the thread, between two batches."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def submit(self, jobs: Sequence[J]) -> list[R]:
        """Results of these jobs; after a cancellation, jobs that have not begun never run."""
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[R]] = [loop.create_future() for _ in jobs]
        self._queue += zip(jobs, futures, strict=True)
        if self._draining is None or self._draining.done():
            self._draining = asyncio.create_task(self._drain(), name="drain-scoring")
        return await asyncio.gather(*futures)

    async def close(self) -> None:
        """Drop the jobs that have not begun, and wait for the others."""
        if self._draining is not None:
            self._draining.cancel()
        for _, future in self._queue:
            future.cancel()
        self._queue.clear()
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    async def _drain(self) -> None:
        while batch := self._take():
            jobs = [job for job, _ in batch]
            try:
                results = await self.call(lambda jobs=jobs: self._run(jobs))  # type: ignore[misc]
            except asyncio.CancelledError:
                for _, future in batch:
                    future.cancel()
                raise
            except Exception as error:  # noqa: BLE001 - raised in the calls that wait for the jobs
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)

    def _take(self) -> list[tuple[J, "asyncio.Future[R]"]]:
        """The oldest job that is still wanted and the jobs that may join it, removed from the queue."""
        batch: list[tuple[J, asyncio.Future[R]]] = []
        left: list[tuple[J, asyncio.Future[R]]] = []
        for job, future in self._queue:
            if future.done():
                continue
            joins = not batch or self._fits([each for each, _ in batch], job)
            (batch if joins else left).append((job, future))
        self._queue = left
        return batch
