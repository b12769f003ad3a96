"""The choice of a request's policy and arm: the client's, a policy's draw, or an ensemble of all arms."""

from laserve.arms.arms import Arms
from laserve.bandit.policies.base import Policy
from laserve.bandit.policies.ensembles import Ensemble
from laserve.bandit.policies.registry import Policies
from laserve.errors import NotReady
from laserve.eventlog.learner import Draw, Learner
from laserve.types import Request, Vector


class Chooser:
    """The choice of the policy and the arm of each request.

    Look here for the order of precedence: a pinned arm, an ensemble, the ready arms whose circuits admit
    requests, all ready arms.
    """

    def __init__(self, *, arms: Arms, learner: Learner, policies: Policies) -> None:
        self._arms = arms
        self._learner = learner
        self._policies = policies

    def policy(self, request: Request) -> Policy | Ensemble:
        """The policy that the request names, or the configured one; no random number is drawn here.

        Raises:
            InvalidRequest: the arm that the request names is not ready, or the policy does not exist.
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
            self._arms.check(request.arm)  # the arm may have been drained since `policy`
            return self._learner.pin(request.arm, x, ready, decision_id)
        if isinstance(policy, Ensemble):
            return self._learner.pin(policy.name, x, ready, decision_id)
        for arms in (self._arms.eligible, ready):  # a policy of one arm draws it although its circuit is open
            draw = self._learner.draw(policy, x, arms, decision_id)
            if draw is not None:
                return draw
        raise NotReady(f"the policy {policy.name!r} can choose none of the ready arms: {', '.join(ready)}")
