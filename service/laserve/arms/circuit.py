"""A circuit breaker: an arm that fails again and again is not chosen until it has proved itself."""

from collections.abc import Callable
from typing import Literal

CircuitState = Literal["closed", "open", "half-open"]

STATES: tuple[CircuitState, ...] = ("closed", "open", "half-open")
_LONGEST_OPEN_S = 600.0


class Circuit:
    """Closed while the arm works. So many failures in a row open it: the arm is not asked for a while, then
    tests itself. When the test passes the circuit is half open: one request at a time may ask the arm, and
    how that ends closes the circuit or opens it for twice as long.

    Args:
        failures: in a row, that open it.
        open_s: first stay in the open state, in seconds; each one that follows is twice as long, 600 at most.
        on_change: told of each new state.
    """

    def __init__(self, *, failures: int, open_s: float, on_change: Callable[[CircuitState], None]) -> None:
        self.state: CircuitState = "closed"
        #: Seconds that the present stay in the open state lasts.
        self.open_s = open_s
        self._limit = failures
        self._first_open_s = open_s
        self._on_change = on_change
        self._failures = 0
        self._trying = False
        #: States entered so far.
        self._entered = 0
        on_change("closed")

    @property
    def admits(self) -> bool:
        """Whether a request may ask the arm now."""
        return self.state == "closed" or (self.state == "half-open" and not self._trying)

    def begin(self) -> int:
        """A request asks the arm; `succeeded`, `failed` or `gave_up` follows, with what this returns.

        What was asked in an earlier state says nothing of the present one.
        """
        self._trying = True
        return self._entered

    def gave_up(self, begun: int) -> None:
        """The request went before the arm had answered."""
        if begun == self._entered:
            self._trying = False

    def succeeded(self, begun: int) -> bool:
        """True when it speaks of the present state."""
        if begun != self._entered:
            return False
        self._trying = False
        self._failures = 0
        if self.state == "half-open":
            self.open_s = self._first_open_s
            self._enter("closed")
        return True

    def failed(self, begun: int) -> bool:
        """Count a failure; True when it opens the circuit, and a test is due after `open_s`."""
        if begun != self._entered:
            return False
        self._trying = False
        self._failures += 1
        if self.state == "half-open":
            self.prolong()
        elif self._failures < self._limit:
            return False
        self._enter("open")
        return True

    def prolong(self) -> None:
        """Stay open for twice as long the next time."""
        self.open_s = min(self.open_s * 2, _LONGEST_OPEN_S)

    def passed(self) -> None:
        """The arm's test has passed."""
        self._enter("half-open")

    def _enter(self, state: CircuitState) -> None:
        self.state = state
        self._entered += 1
        self._trying = False
        self._failures = 0
        self._on_change(state)
