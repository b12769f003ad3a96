"""Group commit: what arrives while one commit runs goes into the next together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from laserve.errors import LaserveError, StoreError

T = TypeVar("T")
R = TypeVar("R")


class GroupCommit(Generic[T, R]):
    """Collects items and commits them in batches, one batch at a time, in order of arrival.

    Args:
        commit: writes a batch durably and returns for each item its result or its own error. When it raises
            instead, nothing of the batch was written.
        max_batch: most items of one commit.
    """

    def __init__(
        self, commit: Callable[[Sequence[T]], Awaitable[Sequence[R | LaserveError]]], *, max_batch: int = 512
    ) -> None:
        self._commit = commit
        self._max_batch = max_batch
        self._waiting: asyncio.Queue[tuple[T, asyncio.Future[R]]] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None
        self._open = False

    def start(self) -> None:
        self._worker = asyncio.create_task(self._run(), name="group-commit")
        self._open = True

    async def submit(self, item: T) -> R:
        """Wait until the item is durable and return its result.

        A caller that is cancelled while it waits may find its item written all the same.

        Raises:
            LaserveError: the item's own error, or the batch's.
        """
        if not self._open:
            raise StoreError("the store is closed")
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((item, future))
        return await future

    async def close(self) -> None:
        """Commit what waits, then stop; nothing is taken any more."""
        self._open = False
        if self._worker is not None:
            await self._waiting.join()
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            batch = [await self._waiting.get()]
            while len(batch) < self._max_batch and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            answers: list[tuple[asyncio.Future[R], R | BaseException]]
            try:
                results = await self._commit([item for item, _ in batch])
                answers = [(future, result) for (_, future), result in zip(batch, results, strict=True)]
            except Exception as error:  # noqa: BLE001 - handed to everyone who waits for this batch
                answers = [(future, error) for _, future in batch]
            for future, result in answers:
                if future.done():
                    pass  # its caller has gone
                elif isinstance(result, BaseException):
                    future.set_exception(result)
                else:
                    future.set_result(result)
                self._waiting.task_done()
