"""The kind ``loglik``: the generator's own log-likelihood of a candidate."""

from collections.abc import Sequence

import numpy as np

from laserve.types import Candidate, Request, Vector


class LogLikelihood:
    """Sum of the raw log-probabilities of a candidate's tokens, the stop token included, in nats.

    It is free, because the generator reports the log-probabilities with each candidate.
    """

    kind = "loglik"
    free = True
    needs_all = False

    async def load(self) -> None: ...

    async def close(self) -> None: ...

    async def score(self, request: Request, candidates: Sequence[Candidate]) -> Vector:
        return np.array([candidate.logprob for candidate in candidates], dtype=np.float64)
