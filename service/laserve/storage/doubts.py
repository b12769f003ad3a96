"""Whether a test write that passed is believed, when the writes of requests fail all the same."""

import time
from collections import Counter
from collections.abc import Callable

#: Writes of one sort that fail in a row, each behind a test write that passed, before that is not believed.
_FAILURES = 3
#: Seconds for which it is not believed then; twice as many after each further failure.
_FIRST_S, _LONGEST_S = 30.0, 300.0


class Doubts:
    """Counts writes that failed although a test write had passed before.

    Without it a database that takes the test and refuses the rest would be called ready again and again.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: Counter[str] = Counter()
        #: Sorts of writes that have failed since the last test write passed: counted once.
        self._counted: set[str] = set()
        self._last = ""
        self._until = 0.0

    def failed(self, what: str | None, reason: str) -> None:
        """A write of this sort was refused; None is one that counts for nothing."""
        if what is None or what in self._counted:
            return
        self._counted.add(what)
        self._failures[what] += 1
        self._last = f"{what}: {reason}"
        if (more := self._failures[what] - _FAILURES) >= 0:
            self._until = self._clock() + min(_FIRST_S * 2.0**more, _LONGEST_S)

    def succeeded(self, what: str | None) -> None:
        """A write of this sort was taken."""
        if what is not None and self._failures.pop(what, 0):
            self._counted.discard(what)
            if max(self._failures.values(), default=0) < _FAILURES:
                self._until = 0.0

    def probe_passed(self) -> None:
        self._counted.clear()

    @property
    def reason(self) -> str | None:
        """Why a test write that passed is not believed now; None when it is."""
        if self._clock() >= self._until:
            return None
        return f"the database takes test writes, but refuses those of requests ({self._last})"
