"""How far a long command has come, on standard error: a bar on a terminal, elsewhere a line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

#: A line is due so many seconds after the last one ..
EVERY_S = 30.0
#: .. or when this share of all steps has been done since, but no sooner than after so many seconds.
SHARE = 0.1
LEAST_S = 1.0


class Progress(Protocol):
    """Takes note of what is done."""

    def advance(self, steps: int = 1) -> None:
        """So many more steps are done."""

    def reach(self, done: int, total: int) -> None:
        """So many steps are done, of so many."""


@contextmanager
def progress(what: str, total: int | None = None, *, done: int = 0) -> Iterator[Progress]:
    """What the block does, told to whoever waits for it.

    Args:
        what: a word for it.
        total: steps in all; None until `Progress.reach` tells.
        done: steps that an earlier run has done already.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines(what, total, done=done)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console) as bars:
        yield Bar(bars, bars.add_task(what, total=total, completed=done))


class Bar:
    """A bar of rich's."""

    def __init__(self, bars: Bars, task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def advance(self, steps: int = 1) -> None:
        self._bars.advance(self._task, steps)

    def reach(self, done: int, total: int) -> None:
        self._bars.update(self._task, completed=done, total=total)


class Lines:
    """Lines for a log file: steps done and in all, the time so far, and an estimate of the rest.

    Args:
        what, total, done: as `progress` takes them.
        write: takes a line; standard error by default.
        clock: seconds from any origin.
    """

    def __init__(
        self,
        what: str,
        total: int | None,
        *,
        done: int = 0,
        write: Callable[[str], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._total = total
        self._before = self._done = self._reported = done
        self._write = write or sys.stderr.write
        self._clock = clock
        self._began = self._reported_at = clock()

    def advance(self, steps: int = 1) -> None:
        self._done += steps
        self._report()

    def reach(self, done: int, total: int) -> None:
        self._done, self._total = done, total
        self._report()

    def _report(self) -> None:
        """Write a line where one is due."""
        if self._total is None or self._done == self._reported:
            return
        now = self._clock()
        waited_s = now - self._reported_at
        much = waited_s >= LEAST_S and self._done - self._reported >= SHARE * self._total
        if waited_s < EVERY_S and not much and self._done < self._total:
            return
        self._reported, self._reported_at = self._done, now
        so_far_s = now - self._began
        share = self._done / self._total
        line = f"{self._what}: {self._done} of {self._total} ({share:.0%}), {_time(so_far_s)}"
        if self._done < self._total:
            left_s = so_far_s / max(self._done - self._before, 1) * (self._total - self._done)
            line += f", about {_time(left_s)} left"
        self._write(line + "\n")


def _time(seconds: float) -> str:
    """As ``0:04:10``."""
    return str(timedelta(seconds=round(seconds)))
