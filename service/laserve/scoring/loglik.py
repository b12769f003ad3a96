"""The generator's own opinion."""

from collections.abc import Sequence

import numpy as np

from laserve.types import Candidate, Request, Vector


class LogLikelihood:
    """Sum of the raw log-probabilities of a candidate's tokens, the stop token included, in nats.

    Free: the generator reports them with each candidate.
    """

    kind = "loglik"
    free = True
    needs_all = False

    async def load(self) -> None: ...

    async def close(self) -> None: ...

    async def score(self, request: Request, candidates: Sequence[Candidate]) -> Vector:
        return np.array([candidate.logprob for candidate in candidates], dtype=np.float64)
