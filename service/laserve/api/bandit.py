"""``GET /arms`` and ``GET /policy``: what can be chosen, and what was learned."""

from typing import TypedDict

from fastapi import APIRouter

from laserve.api.answers import ArmBody, ArmsBody, PolicyArm, PolicyBody
from laserve.api.dependencies import CallerDep, ServiceDep
from laserve.bandit.state import ArmState

router = APIRouter(tags=["bandit"])


@router.get("/arms")
async def arms(service: ServiceDep, caller: CallerDep) -> ArmsBody:
    """The reward models, loaded or not."""
    known = service.learner.state.arms
    return ArmsBody(
        arms=[
            ArmBody(
                name=arm.name,
                kind=arm.model.kind,
                state=arm.state,
                error=arm.error,
                free=arm.model.free,
                **_learned(known[arm.name]),
            )
            for arm in service.arms
        ]
    )


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
            PolicyArm(name=name, theta=service.learner.model.theta(name).tolist(), **_learned(arm))
            for name, arm in state.arms.items()
        ],
    )


class _Learned(TypedDict):
    pulls: int
    updates: int
    mean_reward: float | None


def _learned(arm: ArmState) -> _Learned:
    return {"pulls": arm.pulls, "updates": arm.updates, "mean_reward": arm.mean_reward}
