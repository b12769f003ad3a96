"""``GET /policy``: the policy, and what was learned."""

from fastapi import APIRouter

from laserve.api.answers import PolicyArm, PolicyBody
from laserve.api.dependencies import CallerDep, ServiceDep

router = APIRouter(tags=["bandit"])


@router.get("/policy")
async def policy(service: ServiceDep, caller: CallerDep) -> PolicyBody:
    """The policy, its parameters and the state that it chooses by."""
    settings, state = service.settings.policy, service.learner.state
    return PolicyBody(
        name=settings.name,
        parameters=settings.model_dump(exclude={"name"}),
        context=list(service.context.names),
        log_position=state.position,
        digest=state.digest(),
        decisions=state.decisions,
        learn_from=state.learn_from,
        arms=[
            PolicyArm(
                name=name,
                pulls=arm.pulls,
                updates=arm.updates,
                mean_reward=arm.mean_reward,
                theta=service.learner.model.theta(name).tolist(),
            )
            for name, arm in state.arms.items()
        ],
    )
