"""Agreement among the candidates."""

from collections.abc import Sequence

import numpy as np

from laserve import textmetrics
from laserve.types import Candidate, Request, Vector


class Consensus:
    """Minimum Bayes risk: a candidate's mean token F1 with all n candidates, itself included, in [0, 1].

    The candidates are samples of the model's belief, so equal texts count as often as they were sampled
    (Eikema and Aziz, 2020, arXiv 2005.10283, section 6, with token F1 as the utility).
    """

    kind = "consensus"
    free = True
    needs_all = True

    async def load(self) -> None: ...

    async def close(self) -> None: ...

    async def score(self, request: Request, candidates: Sequence[Candidate]) -> Vector:
        words = [textmetrics.tokens(candidate.text) for candidate in candidates]
        utility = np.array([[textmetrics.f1_tokens(ours, theirs) for theirs in words] for ours in words])
        return np.asarray(utility.mean(axis=1), dtype=np.float64)
