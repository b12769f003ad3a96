"""Whether an arm reads a request while its candidates are still generated, or waits until they are there.

Where the arm has hardware of its own, reading ahead hides its time; where it shares a processor with the
generator, both get slower. So it is measured, on the requests that come.
"""

import math
from collections.abc import Callable
from typing import Literal

OverlapMode = Literal["auto", "on", "off"]

#: Requests of each way before the first choice; the very first may warm something up, and is left out.
TRIALS = 5
#: After that, one request in so many is answered the other way, since load and prompts change.
RETRY_EVERY = 20
#: Requests that an average remembers.
_MEMORY = 16


class Overlap:
    """Decides it for one arm, from seconds per token of the requests so far.

    Args:
        mode: ``on`` and ``off`` settle it; ``auto`` takes both ways in turn, then keeps the faster one.
        on_change: told whether the arm overlaps, now and whenever that changes.
    """

    def __init__(self, mode: OverlapMode, on_change: Callable[[bool], None] = lambda on: None) -> None:
        self.mode = mode
        #: The way that is kept for now.
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
        """What a request took that went well.

        Args:
            overlapped: as `choose` had it.
            seconds: from its arrival until its candidates were scored.
            tokens: of its prompt and its candidates.
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
    """A mean that forgets; its first value is left out."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = 0.0

    def add(self, value: float) -> None:
        self.count += 1
        if self.count > 1:
            self.mean += (value - self.mean) / min(self.count - 1, _MEMORY)
