"""The kind ``fake``: a deterministic scorer for tests, with failures on demand."""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from laserve.errors import ArmFailed, ConfigError
from laserve.types import Candidate, Request, Vector

_FAULTS = ("raise", "hang", "nan", "some-nan", "shape")


class FakeRewardModel:
    """A score in [0, 1) from the hash of the text.

    Args:
        salt: makes the scores of arms differ.
        delay_s: seconds that scoring takes.
        fail: every request fails, the self-test at load included.
        fail_after: requests, the self-test included, after which every request fails.
        fault: kind of failure: ``raise``, ``hang``, ``nan`` (no finite score), ``some-nan`` (for every
            second candidate) or ``shape`` (one score too many).
        fault_file: the fault lasts while this file exists; by default always.
    """

    kind = "fake"
    free = False
    needs_all = False

    def __init__(
        self,
        *,
        salt: str = "",
        delay_s: float = 0.0,
        fail: bool = False,
        fail_after: int | None = None,
        fault: str | None = None,
        fault_file: str | None = None,
    ) -> None:
        if fault not in (None, *_FAULTS):
            raise ConfigError.at("options.fault", f"unknown fault {fault!r}; there are: {', '.join(_FAULTS)}")
        self.salt = salt
        self.delay_s = delay_s
        self.fail_after = 0 if fail else fail_after
        self._fault = fault
        self._fault_file = None if fault_file is None else Path(fault_file)
        self._requests = 0

    async def load(self) -> None: ...

    async def close(self) -> None: ...

    async def score(self, request: Request, candidates: Sequence[Candidate]) -> Vector:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        self._requests += 1
        if self.fail_after is not None and self._requests > self.fail_after:
            raise ArmFailed("told to fail")
        scores = self._scores(candidates)
        if self._fault is None or not (self._fault_file is None or self._fault_file.exists()):
            return scores
        match self._fault:
            case "raise":
                raise RuntimeError("told to fail")
            case "hang":
                await asyncio.Event().wait()
            case "nan":
                scores[:] = np.nan
            case "some-nan":
                scores[::2] = np.nan
        return np.append(scores, 0.0) if self._fault == "shape" else scores

    def _scores(self, candidates: Sequence[Candidate]) -> Vector:
        hashes = [hashlib.sha256(f"{self.salt}|{c.text}".encode()).digest() for c in candidates]
        return np.array([int.from_bytes(h[:6], "big") / 2**48 for h in hashes], dtype=np.float64)
