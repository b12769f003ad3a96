"""A reward model as a package of somebody else would bring it."""

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


class Odd:
    """No reward model."""
