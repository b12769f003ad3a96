"""The choice whether an arm reads and scores a request during generation or after it.

Where the arm has hardware of its own, reading ahead hides its time; where the arm shares a processor with the
generator, both get slower. So both modes are measured on live requests.
"""

import math
from collections.abc import Callable
from typing import Literal

OverlapMode = Literal["auto", "on", "off"]

#: Requests in each mode before the first choice; the first one may include a warm-up, and is left out.
TRIALS = 5
#: After the first choice, one request in this many uses the other mode, since load and prompts change.
RETRY_EVERY = 20
#: Requests that an average weighs: the window of the exponential moving average.
_MEMORY = 16


class Overlap:
    """The choice for one arm, from the seconds per token of its requests so far.

    Args:
        mode: ``on`` always overlaps, ``off`` never; ``auto`` alternates at first, then keeps the faster mode.
        on_change: receives whether the arm overlaps, at once and after each change.
    """

    def __init__(self, mode: OverlapMode, on_change: Callable[[bool], None] = lambda on: None) -> None:
        self.mode = mode
        #: Whether the arm overlaps at present.
        self.on = mode == "on"
        self._on_change = on_change
        self._requests = 0
        self._times = {True: _Average(), False: _Average()}
        on_change(self.on)

    def choose(self) -> bool:
        """Whether the next request overlaps."""
        if self.mode != "auto":
            return self.on
        self._requests += 1
        if any(times.count < TRIALS for times in self._times.values()):
            return self._requests % 2 == 1
        return not self.on if self._requests % RETRY_EVERY == 0 else self.on

    def learn(self, overlapped: bool, *, seconds: float, tokens: int) -> None:
        """Learn from the duration of a request that succeeded.

        Args:
            overlapped: the result of `choose` for the request.
            seconds: from the request's arrival until its candidates were scored.
            tokens: number of tokens of its prompt and its candidates.
        """
        if self.mode != "auto":
            return
        self._times[overlapped].add(math.log(max(seconds, 1e-6) / max(tokens, 1)))
        if all(times.count >= TRIALS for times in self._times.values()):
            self._keep(self._times[True].mean < self._times[False].mean)

    def _keep(self, on: bool) -> None:
        if on != self.on:
            self.on = on
            self._on_change(on)


class _Average:
    """An exponential moving average; its first value is left out."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0

    def add(self, value: float) -> None:
        self.count += 1
        if self.count > 1:
            self.mean += (value - self.mean) / min(self.count - 1, _MEMORY)
