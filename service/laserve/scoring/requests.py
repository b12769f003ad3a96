"""What is computed once for a request, however many calls ask for it."""

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from laserve.types import Request

T = TypeVar("T")


@dataclass(kw_only=True)
class _Entry(Generic[T]):
    task: asyncio.Task[T]
    #: Forgets the entry when the request is gone.
    request: weakref.ref[Request]
    #: Calls that wait for the task.
    waiting: int = 0


class PerRequest(Generic[T]):
    """One value for each request object, for as long as the object lives.

    A request is known by its identity: the calls that score one request share the object, and two requests
    with the same text may differ in what else they hold. For one event loop.
    """

    def __init__(self) -> None:
        self._entries: dict[int, _Entry[T]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, request: Request, compute: Callable[[], Awaitable[T]]) -> T:
        """The value; the first call computes it, and calls meanwhile wait for that.

        The computation is cancelled when every call that waits for it has been. Its failure is raised to all
        who wait and is not kept: the next call computes again.
        """
        entry = self._entries.get(id(request)) or self._begin(request, compute)
        entry.waiting += 1
        try:
            return await asyncio.shield(entry.task)
        finally:
            entry.waiting -= 1
            if not entry.waiting and not entry.task.done():
                self._forget(id(request), entry)
                entry.task.cancel()

    def peek(self, request: Request) -> T | None:
        """The value if it has been computed."""
        entry = self._entries.get(id(request))
        if entry is None or not entry.task.done() or entry.task.cancelled() or entry.task.exception():
            return None
        return entry.task.result()

    def drop(self, request: Request) -> None:
        """Forget a value that has been computed; the next call computes it again."""
        entry = self._entries.get(id(request))
        if entry is not None and entry.task.done():
            self._forget(id(request), entry)

    def _begin(self, request: Request, compute: Callable[[], Awaitable[T]]) -> _Entry[T]:
        key = id(request)

        async def work() -> T:
            return await compute()

        task = asyncio.create_task(work())
        # Nothing that the entry holds leads back to it: a value that is dropped goes at once, however large.
        entry = _Entry(task=task, request=weakref.ref(request, partial(self._gone, key)))
        task.add_done_callback(lambda done: self._ended(key, entry, done))
        self._entries[key] = entry
        return entry

    def _ended(self, key: int, entry: _Entry[T], done: asyncio.Task[T]) -> None:
        if done.cancelled() or done.exception() is not None:
            self._forget(key, entry)

    def _gone(self, key: int, request: weakref.ref[Request]) -> None:
        entry = self._entries.get(key)
        if entry is not None and entry.request is request:
            del self._entries[key]

    def _forget(self, key: int, entry: _Entry[T]) -> None:
        if self._entries.get(key) is entry:
            del self._entries[key]
