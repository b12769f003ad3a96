"""Progress of a long command on standard error: a bar on a terminal, elsewhere a line at intervals."""

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

#: Seconds after the last line when the next one is due ..
EVERY_S = 30.0
#: .. or share of all steps done since the last line, but at least `LEAST_S` seconds after it.
SHARE = 0.1
LEAST_S = 1.0


class Progress(Protocol):
    """Counter of the steps done."""

    def advance(self, steps: int = 1) -> None:
        """Add to the steps done."""

    def reach(self, done: int, total: int) -> None:
        """Set the steps done, and the total."""


@contextmanager
def progress(what: str, total: int | None = None, *, done: int = 0) -> Iterator[Progress]:
    """Progress of the block, shown on standard error.

    Args:
        what: label of the work.
        total: steps in all; None until `Progress.reach` sets it.
        done: steps that an earlier run has done.
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
    """Progress as a bar of rich."""

    def __init__(self, bars: Bars, task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def advance(self, steps: int = 1) -> None:
        self._bars.advance(self._task, steps)

    def reach(self, done: int, total: int) -> None:
        self._bars.update(self._task, completed=done, total=total)


class Lines:
    """Progress as lines for a log file: steps done and total, elapsed time, estimated rest.

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
    """Duration as ``0:04:10``."""
    return str(timedelta(seconds=round(seconds)))
