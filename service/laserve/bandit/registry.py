"""Policies by name."""

from collections.abc import Callable, Sequence

from laserve.bandit.base import Policy
from laserve.bandit.baselines import FixedArm, RandomArm
from laserve.bandit.combining import ENSEMBLES, Ensemble
from laserve.bandit.linucb import LinUCB
from laserve.errors import InvalidRequest

NAMES = ("linucb", "random", "fixed:ARM", *ENSEMBLES)


class Policies:
    """Makes the policy that a setting or a request names.

    Args:
        linucb: the configured LinUCB.
        arms: gives the names that ``fixed:ARM`` may take now.
    """

    def __init__(self, *, linucb: LinUCB, arms: Callable[[], Sequence[str]]) -> None:
        self.linucb = linucb
        self._arms = arms

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(self._arms())

    def get(self, name: str) -> Policy | Ensemble:
        """Raises InvalidRequest when there is none of that name."""
        if name in ENSEMBLES:
            return ENSEMBLES[name]
        match name.partition(":"):
            case ("linucb", "", _):
                return self.linucb
            case ("random", "", _):
                return RandomArm()
            case ("fixed", ":", arm) if arm in self.arms:
                return FixedArm(arm)
            case ("fixed", ":", arm):
                raise InvalidRequest(
                    f"policy: no arm {arm!r}; there are: {', '.join(self.arms)}", param="policy"
                )
        raise InvalidRequest(f"policy: no policy {name!r}; there are: {', '.join(NAMES)}", param="policy")
