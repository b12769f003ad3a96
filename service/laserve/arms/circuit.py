"""The circuit breaker of an arm, which keeps requests from an arm that fails repeatedly."""

from collections.abc import Callable
from typing import Literal

CircuitState = Literal["closed", "open", "half-open"]

STATES: tuple[CircuitState, ...] = ("closed", "open", "half-open")
_LONGEST_OPEN_S = 600.0


class Circuit:
    """A circuit breaker, closed while the arm works.

    A number of failures in a row open the circuit: the arm gets no request for `open_s`, then tests itself.
    When the test passes, the circuit is half open: one request at a time may use the arm. Its success closes
    the circuit; its failure opens the circuit for twice as long.

    Args:
        failures: number of failures in a row that open the circuit.
        open_s: seconds of the first open state; each later one lasts twice as long, at most 600.
        on_change: receives each new state.
    """

    def __init__(self, *, failures: int, open_s: float, on_change: Callable[[CircuitState], None]) -> None:
        self.state: CircuitState = "closed"
        #: Seconds that the open state lasts until the arm's next test.
        self.open_s = open_s
        self._limit = failures
        self._first_open_s = open_s
        self._on_change = on_change
        self._failures = 0
        self._trying = False
        #: Number of states entered so far; it identifies the present one.
        self._entered = 0
        on_change("closed")

    @property
    def admits(self) -> bool:
        """Whether a request may use the arm now."""
        return self.state == "closed" or (self.state == "half-open" and not self._trying)

    def begin(self) -> int:
        """Begin a request; pass the returned number to `succeeded`, `failed` or `gave_up`.

        The result of a request that began in an earlier state does not change the present state.
        """
        self._trying = True
        return self._entered

    def gave_up(self, begun: int) -> None:
        """End a request that was cancelled before the arm had answered."""
        if begun == self._entered:
            self._trying = False

    def succeeded(self, begun: int) -> bool:
        """End a request with success; True when it began in the present state."""
        if begun != self._entered:
            return False
        self._trying = False
        self._failures = 0
        if self.state == "half-open":
            self.open_s = self._first_open_s
            self._enter("closed")
        return True

    def failed(self, begun: int) -> bool:
        """End a request with failure; True when this opens the circuit, and a test is due after `open_s`."""
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
        """Double the time of the open state, up to the limit."""
        self.open_s = min(self.open_s * 2, _LONGEST_OPEN_S)

    def passed(self) -> None:
        """Half open the circuit, after the arm's test has passed."""
        self._enter("half-open")

    def _enter(self, state: CircuitState) -> None:
        self.state = state
        self._entered += 1
        self._trying = False
        self._failures = 0
        self._on_change(state)
