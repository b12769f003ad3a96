"""Registry of the policies, by name."""

from collections.abc import Callable, Iterable, Sequence

from laserve.bandit.policies.averages import UCB1, EpsilonGreedy
from laserve.bandit.policies.base import Policy
from laserve.bandit.policies.baselines import FixedArm, RandomArm, RoundRobin
from laserve.bandit.policies.classifier import Classifier
from laserve.bandit.policies.ensembles import ENSEMBLES, Ensemble
from laserve.bandit.policies.exp3 import Exp3
from laserve.bandit.policies.exploration import Exploration
from laserve.bandit.policies.lints import LinTS
from laserve.bandit.policies.linucb import LinUCB
from laserve.bandit.policies.observed import Observed
from laserve.bandit.policies.squarecb import SquareCB
from laserve.errors import InvalidRequest


def learners(
    *,
    exploration: Exploration,
    alpha: float,
    posterior_scale: float,
    posterior_draws: int,
    gap_scale: float,
) -> tuple[Policy, ...]:
    """The policies that learn; the settings describe the parameters under these names."""
    return (
        LinUCB(exploration=exploration, alpha=alpha),
        LinTS(exploration=exploration, scale=posterior_scale, draws=posterior_draws),
        SquareCB(exploration=exploration, gap_scale=gap_scale),
        EpsilonGreedy(exploration=exploration),
        UCB1(exploration=exploration),
        Exp3(exploration=exploration),
        Classifier(exploration=exploration),
    )


class Policies:
    """The policies that a setting or a request may name.

    Args:
        learners: the configured policies that learn.
        arms: returns the names that ``fixed:ARM`` may take now.
        configured: name of the policy for requests that name none.
        observe: the arm that answers instead of the configured policy, and the share of the requests that the
            policy answers; None where the policy answers all.
    """

    def __init__(
        self,
        *,
        learners: Iterable[Policy],
        arms: Callable[[], Sequence[str]],
        configured: str = "linucb",
        observe: tuple[str, float] | None = None,
    ) -> None:
        self._by_name: dict[str, Policy | Ensemble] = {
            policy.name: policy for policy in (*learners, RandomArm(), RoundRobin())
        }
        self._by_name |= ENSEMBLES
        self._arms = arms
        self._configured = configured
        self._observe = observe

    @property
    def names(self) -> tuple[str, ...]:
        return (*self._by_name, "fixed:ARM")

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(self._arms())

    @property
    def configured(self) -> Policy | Ensemble:
        """The policy for requests that name none. Raises InvalidRequest."""
        policy = self.get(self._configured)
        if self._observe is None or isinstance(policy, Ensemble):
            return policy
        arm, live_share = self._observe
        return Observed(policy=policy, arm=arm, live_share=live_share)

    def get(self, name: str, *, param: str = "policy") -> Policy | Ensemble:
        """The policy of this name.

        Args:
            param: the field or setting that holds the name.

        Raises:
            InvalidRequest: there is no policy, or no arm, of this name.
        """
        if name in self._by_name:
            return self._by_name[name]
        kind, colon, arm = name.partition(":")
        if (kind, colon) != ("fixed", ":"):
            known = ", ".join(self.names)
            raise InvalidRequest(f"{param}: no policy {name!r}; there are: {known}", param=param)
        if arm not in self.arms:
            known = ", ".join(self.arms)
            raise InvalidRequest(f"{param}: no arm {arm!r}; there are: {known}", param=param)
        return FixedArm(arm)
