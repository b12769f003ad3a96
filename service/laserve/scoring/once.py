"""A value that is computed once for any number of calls."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(kw_only=True, eq=False)
class _Computation(Generic[T]):
    task: asyncio.Task[T]
    #: Number of calls that wait for the task.
    waiting: int = 0


class Once(Generic[T]):
    """A value that the first call computes and that is kept until it is dropped; for one event loop."""

    def __init__(self) -> None:
        self._computation: _Computation[T] | None = None
        self._closed = False

    async def get(self, compute: Callable[[], Awaitable[T]]) -> T:
        """The value; the first call computes it, and other calls wait for its result.

        The computation is cancelled when every call that waits for it is cancelled. An error is raised in all
        waiting calls and is not kept: the next call computes again.
        """
        if self._closed:
            raise RuntimeError("the value has been closed")
        computation = self._computation or self._begin(compute)
        computation.waiting += 1
        try:
            return await asyncio.shield(computation.task)
        finally:
            computation.waiting -= 1
            if not computation.waiting and not computation.task.done():
                self._forget(computation)
                computation.task.cancel()

    def peek(self) -> T | None:
        """The value; None if it has not been computed."""
        task = None if self._computation is None else self._computation.task
        if task is None or not task.done() or task.cancelled() or task.exception():
            return None
        return task.result()

    def drop(self) -> None:
        """Drop a computed value; the next call computes it again."""
        if self._computation is not None and self._computation.task.done():
            self._computation = None

    def close(self) -> None:
        """Drop the value, or cancel its computation; no call may follow."""
        self._closed = True
        if self._computation is not None:
            self._computation.task.cancel()
            self._computation = None

    def _begin(self, compute: Callable[[], Awaitable[T]]) -> _Computation[T]:
        async def work() -> T:
            return await compute()

        # No reference cycle holds the value: once dropped, it is freed at once, however large.
        computation = _Computation(task=asyncio.create_task(work()))
        computation.task.add_done_callback(lambda done: self._ended(computation, done))
        self._computation = computation
        return computation

    def _ended(self, computation: _Computation[T], done: asyncio.Task[T]) -> None:
        if done.cancelled() or done.exception() is not None:
            self._forget(computation)

    def _forget(self, computation: _Computation[T]) -> None:
        if self._computation is computation:
            self._computation = None
