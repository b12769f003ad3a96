"""The kind ``relevance``: closeness of a candidate to the documents."""

from collections.abc import Sequence

import numpy as np

from laserve.errors import ArmFailed, ConfigError, LaserveError
from laserve.models.encoder import Encoder
from laserve.types import Candidate, Request, Vector


class Relevance:
    """Cosine between question with candidate and the closest window of the documents, in [-1, 1].

    Without documents the score is the cosine between question and candidate. An empty candidate scores -1.

    Args:
        encoder: shared with the context features.
        window_words: number of words in a window.
        stride_words: number of words from the start of a window to the next, at most `window_words`.
    """

    kind = "relevance"
    free = False
    needs_all = False

    def __init__(self, *, encoder: Encoder, window_words: int = 100, stride_words: int = 75) -> None:
        if not 0 < stride_words <= window_words:
            raise ConfigError.at("options.stride_words", "must be in 1..window_words")
        self.window_words = window_words
        self.stride_words = stride_words
        self._encoder = encoder

    async def load(self) -> None: ...

    async def close(self) -> None: ...

    async def score(self, request: Request, candidates: Sequence[Candidate]) -> Vector:
        windows = [window for document in request.documents for window in self._windows(document.text)]
        if windows:
            claims = [f"{request.query} {candidate.text}" for candidate in candidates]
        else:
            windows, claims = [request.query], [candidate.text for candidate in candidates]
        try:
            vectors = (await self._encoder.encode([*claims, *windows])).astype(np.float64)
        except (RuntimeError, LaserveError) as error:
            raise ArmFailed(f"the encoder failed: {error}") from error
        scores = (vectors[: len(claims)] @ vectors[len(claims) :].T).max(axis=1)
        return np.where([bool(candidate.text.strip()) for candidate in candidates], scores, -1.0)

    def _windows(self, text: str) -> list[str]:
        words = text.split()
        starts = range(0, max(len(words) - self.window_words + self.stride_words, 1), self.stride_words)
        return [" ".join(words[start : start + self.window_words]) for start in starts if words]
