"""Doubts about test writes that pass while the writes of requests fail."""

import time
from collections import Counter
from collections.abc import Callable

#: Number of failed writes of one sort in a row, each after a passed test write, that begins a doubt.
_FAILURES = 3
#: Seconds of the first doubt, which double with each further failure, and the most seconds.
_FIRST_S, _LONGEST_S = 30.0, 300.0


class Doubts:
    """Counts writes of requests that failed although a test write had passed before.

    Without the count, a database that takes test writes and nothing else would be ready after each test.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: Counter[str] = Counter()
        #: Sorts of writes that failed since the last passed test write; each failure counts once.
        self._counted: set[str] = set()
        self._last = ""
        self._until = 0.0

    def failed(self, what: str | None, reason: str) -> None:
        """Count a refused write of this sort; a write of sort None does not count."""
        if what is None or what in self._counted:
            return
        self._counted.add(what)
        self._failures[what] += 1
        self._last = f"{what}: {reason}"
        if (more := self._failures[what] - _FAILURES) >= 0:
            self._until = self._clock() + min(_FIRST_S * 2.0**more, _LONGEST_S)

    def succeeded(self, what: str | None) -> None:
        """Forget the failures of this sort, since a write of it succeeded."""
        if what is not None and self._failures.pop(what, 0):
            self._counted.discard(what)
            if max(self._failures.values(), default=0) < _FAILURES:
                self._until = 0.0

    def probe_passed(self) -> None:
        self._counted.clear()

    @property
    def reason(self) -> str | None:
        """Message of the doubt that holds now; None when there is no doubt."""
        if self._clock() >= self._until:
            return None
        return f"the database takes test writes, but refuses those of requests ({self._last})"
