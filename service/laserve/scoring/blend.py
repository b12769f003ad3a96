"""The arm that combines the others."""

from collections.abc import Sequence

import numpy as np

from laserve.types import Candidate, Request, Vector


class Blend:
    """The weighted sum of all other arms' scores of a candidate, with learned weights.

    The service scores with the other arms and weighs their z-scores within the request
    (`laserve.bandit.state.blending`); this model alone prefers no candidate.
    """

    kind = "blend"
    free = False
    needs_all = True

    async def load(self) -> None: ...

    async def close(self) -> None: ...

    async def score(self, request: Request, candidates: Sequence[Candidate]) -> Vector:
        """Zeros, shape (n,)."""
        return np.zeros(len(candidates))
