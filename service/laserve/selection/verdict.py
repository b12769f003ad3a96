"""Who scored a request, and how."""

from collections.abc import Mapping
from dataclasses import dataclass

from laserve.arms.attempt import Scored


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Scores of a request by arm."""

    #: Arm whose scores choose; None when every arm failed.
    scored_by: str | None
    by_arm: Mapping[str, Scored]
    #: Arm -> why it could not score.
    failed: Mapping[str, str]
