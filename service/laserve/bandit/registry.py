"""Policies by name."""

from collections.abc import Callable, Iterable, Sequence

from laserve.bandit.averages import UCB1, EpsilonGreedy
from laserve.bandit.base import Policy
from laserve.bandit.baselines import FixedArm, RandomArm, RoundRobin
from laserve.bandit.combining import ENSEMBLES, Ensemble
from laserve.bandit.exp3 import Exp3
from laserve.bandit.exploration import Exploration
from laserve.bandit.lints import LinTS
from laserve.bandit.linucb import LinUCB
from laserve.bandit.squarecb import SquareCB
from laserve.errors import InvalidRequest


def learners(
    *,
    exploration: Exploration,
    alpha: float,
    posterior_scale: float,
    posterior_draws: int,
    gap_scale: float,
) -> tuple[Policy, ...]:
    """The policies that learn, with the parameters that the settings of these names describe."""
    return (
        LinUCB(exploration=exploration, alpha=alpha),
        LinTS(exploration=exploration, scale=posterior_scale, draws=posterior_draws),
        SquareCB(exploration=exploration, gap_scale=gap_scale),
        EpsilonGreedy(exploration=exploration),
        UCB1(exploration=exploration),
        Exp3(exploration=exploration),
    )


class Policies:
    """Finds the policy that a setting or a request names.

    Args:
        learners: the configured policies that learn.
        arms: gives the names that ``fixed:ARM`` may take now.
    """

    def __init__(self, *, learners: Iterable[Policy], arms: Callable[[], Sequence[str]]) -> None:
        self._named: dict[str, Policy | Ensemble] = {
            policy.name: policy for policy in (*learners, RandomArm(), RoundRobin())
        }
        self._named |= ENSEMBLES
        self._arms = arms

    @property
    def names(self) -> tuple[str, ...]:
        return (*self._named, "fixed:ARM")

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(self._arms())

    def get(self, name: str) -> Policy | Ensemble:
        """Raises InvalidRequest when there is none of that name."""
        if name in self._named:
            return self._named[name]
        kind, colon, arm = name.partition(":")
        if (kind, colon) != ("fixed", ":"):
            known = ", ".join(self.names)
            raise InvalidRequest(f"policy: no policy {name!r}; there are: {known}", param="policy")
        if arm not in self.arms:
            known = ", ".join(self.arms)
            raise InvalidRequest(f"policy: no arm {arm!r}; there are: {known}", param="policy")
        return FixedArm(arm)
