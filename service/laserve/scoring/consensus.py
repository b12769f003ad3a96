"""The kind ``consensus``: agreement among the candidates."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import numpy as np

from laserve import textmetrics
from laserve.types import Candidate, Request, Vector

#: Total characters of the candidates from which they are compared in a thread.
_LONG = 10_000


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
        texts = [candidate.text for candidate in candidates]
        if sum(map(len, texts)) < _LONG:
            return _mean_f1(texts)
        return await asyncio.to_thread(_mean_f1, texts)


def _mean_f1(texts: Sequence[str]) -> Vector:
    """Mean token F1 of each text with all texts, shape (len(texts),); equal texts are compared once."""
    distinct = list(dict.fromkeys(texts))
    bags = [Counter(textmetrics.tokens(text)) for text in distinct]
    utility = np.empty((len(distinct), len(distinct)))
    for i, ours in enumerate(bags):
        for j, theirs in enumerate(bags[: i + 1]):
            utility[i, j] = utility[j, i] = textmetrics.f1_bags(ours, theirs)
    rows = [distinct.index(text) for text in texts]
    return np.asarray(utility[np.ix_(rows, rows)].mean(axis=1), dtype=np.float64)
