"""Endpoints of ``/policy`` and ``/policies``: state of the policy, and off-policy evaluation of others."""

from fastapi import APIRouter, Depends

from laserve.api.bodies.answers import ErrorBody
from laserve.api.bodies.bandit import ChangeBody, EvaluationReport, PolicyArm, PolicyBody, RewardScale
from laserve.api.bodies.requests import EvaluationBody
from laserve.api.dependencies import CallerDep, ServiceDep, whole_characters
from laserve.storage.base import Wanted

router = APIRouter(tags=["bandit"])

#: Latest model changes that ``/policy`` lists.
_CHANGES = 20


@router.get("/policy")
async def policy(service: ServiceDep, caller: CallerDep) -> PolicyBody:
    """The policy, its parameters and its learned state."""
    settings, state = service.settings.policy, service.learner.state
    scale = state.rewards.scale
    return PolicyBody(
        name=settings.name,
        parameters=settings.model_dump(exclude={"name"}),
        context=list(service.context.names),
        log_position=state.position,
        digest=state.digest(),
        decisions=state.decisions,
        learn_from=state.learn_from,
        reward_scale=RewardScale(low=scale.low, high=scale.high) if scale else None,
        fingerprints=state.fingerprints,
        changes=[ChangeBody(**vars(change)) for change in state.changes.made[: -_CHANGES - 1 : -1]],
        arms=[
            PolicyArm(
                name=name,
                pulls=arm.pulls,
                updates=arm.updates,
                mean_reward=arm.mean_reward,
                theta=service.learner.model.theta(name).tolist(),
                fingerprint=arm.fingerprint,
            )
            for name, arm in state.arms.items()
        ],
    )


@router.post(
    "/policies/evaluate",
    responses={
        422: {"model": ErrorBody, "description": "A policy is unknown or not frozen; `param` names it."}
    },
    dependencies=[Depends(whole_characters)],
)
async def evaluate(body: EvaluationBody, service: ServiceDep, caller: CallerDep) -> EvaluationReport:
    """Estimate from the log the mean reward that frozen policies would have earned on its requests."""
    wanted = Wanted(since=body.since, task=body.task)
    return EvaluationReport.of(await service.evaluator.report(body.policies, wanted))
