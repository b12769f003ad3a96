"""The arm of a request: named by the client, drawn by a policy, or an ensemble of all arms."""

from laserve.arms.arms import Arms
from laserve.bandit.policies.base import Policy
from laserve.bandit.policies.ensembles import Ensemble
from laserve.bandit.policies.registry import Policies
from laserve.errors import NotReady
from laserve.eventlog.learner import Draw, Learner
from laserve.types import Request, Vector


class Chooser:
    """Chooses the policy and the arm of a request.

    Look here for the order of precedence: a pinned arm, an ensemble, the arms whose circuits admit requests,
    all that are ready.
    """

    def __init__(self, *, arms: Arms, learner: Learner, policies: Policies) -> None:
        self._arms = arms
        self._learner = learner
        self._policies = policies

    def policy(self, request: Request) -> Policy | Ensemble:
        """The policy that the request names, or the configured one; nothing is spent on it yet.

        Raises:
            InvalidRequest: the arm that the request names is not ready, or there is no policy of the name.
            NotReady: no arm is ready.
        """
        if not self._arms.ready:
            raise NotReady("no arm is ready")
        if request.arm is not None:
            self._arms.check(request.arm)
        return self._policies.configured if request.policy is None else self._policies.get(request.policy)

    def draw(self, request: Request, policy: Policy | Ensemble, x: Vector, decision_id: str) -> Draw:
        """The arm, drawn by the policy unless the request names it.

        Raises:
            InvalidRequest: the arm that the request names is no longer ready.
            NotReady: the policy can choose none of the ready arms.
        """
        ready = self._arms.ready
        if request.arm is not None:
            self._arms.check(request.arm)  # it may have been drained since
            return self._learner.pin(request.arm, x, ready, decision_id)
        if isinstance(policy, Ensemble):
            return self._learner.pin(policy.name, x, ready, decision_id)
        for arms in (self._arms.eligible, ready):  # a policy of one arm draws it with an open circuit too
            draw = self._learner.draw(policy, x, arms, decision_id)
            if draw is not None:
                return draw
        raise NotReady(f"the policy {policy.name!r} can choose none of the ready arms: {', '.join(ready)}")
