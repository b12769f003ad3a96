"""A deterministic scorer for tests: no model, failures on demand."""

import asyncio
import hashlib
from collections.abc import Sequence

import numpy as np

from laserve.errors import ArmFailed
from laserve.types import Candidate, Request, Vector


class FakeRewardModel:
    """Scores a text by its hash, in [0, 1).

    Args:
        salt: arms with different salts disagree.
        delay_s: seconds that scoring takes.
        fail: every request fails, the self-test at load included.
        fail_after: requests, the self-test included, after which every request fails.
    """

    kind = "fake"
    free = False
    needs_all = False

    def __init__(
        self, *, salt: str = "", delay_s: float = 0.0, fail: bool = False, fail_after: int | None = None
    ) -> None:
        self.salt = salt
        self.delay_s = delay_s
        self.fail_after = 0 if fail else fail_after
        self._asked = 0

    async def load(self) -> None: ...

    async def close(self) -> None: ...

    async def score(self, request: Request, candidates: Sequence[Candidate]) -> Vector:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        self._asked += 1
        if self.fail_after is not None and self._asked > self.fail_after:
            raise ArmFailed("told to fail")
        hashes = [hashlib.sha256(f"{self.salt}|{c.text}".encode()).digest() for c in candidates]
        return np.array([int.from_bytes(h[:6], "big") / 2**48 for h in hashes], dtype=np.float64)
