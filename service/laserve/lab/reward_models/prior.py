"""Prior of the bandit from an offline evaluation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from laserve.config import Expected
from laserve.lab.output import write_json

#: Default limit of an arm's pseudo-observations; small, since the rows are not the users' requests.
PRIOR_N = 10


@dataclass(frozen=True, kw_only=True)
class Qualities:
    """Mean quality of the answers that each arm would have returned on one set of rows."""

    #: Arm -> mean quality in [0, 1]; only arms that scored every row.
    by_arm: Mapping[str, float]
    rows: int
    #: Independent sources among the rows.
    sources: int


def prior(sets: Sequence[Qualities], *, limit: int = PRIOR_N) -> dict[str, Expected]:
    """Pseudo-observations on the bias, for each arm with a quality on all sets.

    The reward is the mean quality over all rows of all sets. Its unit is that
    of the rows' quality and must be that of the learned metric: a share of right answers for rewards that
    are 1 or 0, F1 for references.

    Args:
        limit: largest number of pseudo-observations of an arm; the number of sources is another upper limit.

    Returns:
        Arm -> its pseudo-observations; empty without sets.
    """
    if not sets:
        return {}
    rows = sum(one.rows for one in sets)
    n = min(limit, sum(one.sources for one in sets))
    return {
        arm: Expected(reward=sum(one.by_arm[arm] * one.rows for one in sets) / rows, n=n)
        for arm in sets[0].by_arm
        if all(arm in one.by_arm for one in sets)
    }


def write(path: Path, expected: Mapping[str, Expected]) -> None:
    """Write ``{arm: {"reward": float, "n": float}}`` as JSON, which `laserve.config.read_prior` reads.

    Raises:
        ConfigError: the file cannot be written.
    """
    rows = {arm: one.model_dump() for arm, one in expected.items()}
    write_json(path, rows, "--prior-out")
