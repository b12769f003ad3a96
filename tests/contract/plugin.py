"""Reward models as a package of somebody else would bring them, in each form that they may have."""

from collections.abc import Sequence

import numpy as np

from laserve.errors import ConfigError
from laserve.types import Candidate, Request, Vector


class Brevity:
    """Minus the length of a candidate, in characters or words."""

    kind = "brevity"
    free = False
    needs_all = False

    def __init__(self, *, unit: str = "characters") -> None:
        if unit not in ("characters", "words"):
            raise ConfigError.at("options.unit", "is neither characters nor words")
        self.unit = unit

    async def load(self) -> None: ...

    async def close(self) -> None: ...

    async def score(self, request: Request, candidates: Sequence[Candidate]) -> Vector:
        texts = [candidate.text for candidate in candidates]
        lengths = [len(text if self.unit == "characters" else text.split()) for text in texts]
        return -np.array(lengths, dtype=np.float64)


class Ahead(Brevity):
    """Knows each request that it has read, and reads it before there are candidates."""

    def __init__(self, *, unit: str = "characters") -> None:
        super().__init__(unit=unit)
        self._read: dict[int, Request] = {}

    async def prefill(self, request: Request) -> None:
        self._read[id(request)] = request

    def truncated(self, request: Request) -> bool:
        return False

    async def score(self, request: Request, candidates: Sequence[Candidate]) -> Vector:
        await self.prefill(request)
        return await super().score(self._read[id(request)], candidates)


class Opening:
    """Opens a reading of each request, which holds what it has read until it is closed."""

    kind = "opening"
    free = False
    needs_all = False
    reads_ahead = True

    def __init__(self, *, unit: str = "characters") -> None:
        self.scorer = Brevity(unit=unit)
        self.open_readings = 0

    async def load(self) -> None: ...

    async def close(self) -> None: ...

    def open(self, request: Request) -> "OpeningReading":
        self.open_readings += 1
        return OpeningReading(self, request)


class OpeningReading:
    truncated = False

    def __init__(self, model: Opening, request: Request) -> None:
        self._model = model
        self._request: Request | None = request

    async def prefill(self) -> None: ...

    async def score(self, candidates: Sequence[Candidate]) -> Vector:
        assert self._request is not None
        return await self._model.scorer.score(self._request, candidates)

    def close(self) -> None:
        if self._request is not None:
            self._model.open_readings -= 1
        self._request = None


class Odd:
    """No reward model."""
