"""The verdict on a request's candidates: their scores by arm, the best one, and the shortfalls."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from laserve.arms.attempt import Scored
from laserve.types import Candidate


@dataclass(frozen=True, kw_only=True)
class Shortfall:
    """One way in which a decision falls short of its request."""

    #: Label in the metrics: ``arm_failed``, ``unscored``, ``non_finite`` or ``timeout``.
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Scores of a request's candidates by arm, and the arm whose scores choose.

    Look here for which candidate is returned, also when no arm could score, and for the texts of `degraded`.
    """

    #: At least one, by index.
    candidates: tuple[Candidate, ...]
    #: Number of candidates that the request wants.
    wanted: int
    #: Arm whose scores choose; None when every arm failed.
    scored_by: str | None
    by_arm: Mapping[str, Scored]
    #: Arm -> the reason why it could not score.
    failed: Mapping[str, str]

    @property
    def winner(self) -> Scored | None:
        """The scores that choose; None when every arm failed."""
        return None if self.scored_by is None else self.by_arm[self.scored_by]

    @property
    def index(self) -> int:
        """Index of the best candidate; by mean log-probability, then the lower index, when no arm scored."""
        if self.winner is not None:
            return self.winner.best
        return max(self.candidates, key=lambda each: (each.mean_logprob, -each.index)).index

    @property
    def shortfalls(self) -> tuple[Shortfall, ...]:
        """All ways in which the decision falls short of its request."""
        short = [Shortfall(reason="arm_failed", detail=f"{name}: {why}") for name, why in self.failed.items()]
        if self.winner is None:
            short.append(Shortfall(reason="unscored", detail="every arm failed; best mean log-probability"))
        elif dropped := int(np.isnan(self.winner.scores).sum()):
            detail = f"{self.scored_by}: {dropped} of {len(self.candidates)} candidates"
            short.append(Shortfall(reason="non_finite", detail=detail))
        if len(self.candidates) < self.wanted:
            detail = f"{len(self.candidates)} of {self.wanted} candidates finished in time"
            short.append(Shortfall(reason="timeout", detail=detail))
        return tuple(short)
