"""Endpoints of ``/arms``: the list of reward models, and changes to it while the service runs."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path

from laserve.api.bodies.answers import ArmBody, ArmsBody, ErrorBody
from laserve.api.bodies.requests import ArmStateBody, NewArmBody
from laserve.api.dependencies import CallerDep, ServiceDep, whole_characters
from laserve.arms.arm import Arm
from laserve.bandit.state.arm_state import ArmState
from laserve.errors import NotFound
from laserve.service import Service

router = APIRouter(tags=["arms"])

NameDep = Annotated[str, Path(description="Name of the arm.", max_length=64)]

_UNKNOWN: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorBody, "description": "No arm has this name."},
    422: {"model": ErrorBody, "description": "The request is invalid; `param` names the field."},
}
_CHANGES: dict[int | str, dict[str, Any]] = {
    403: {"model": ErrorBody, "description": "The settings under `scoring` do not allow this arm."},
    409: {"model": ErrorBody, "description": "The state of this arm, or of another one, forbids the change."},
    422: {"model": ErrorBody, "description": "The request is invalid; `param` names the field."},
    503: {"model": ErrorBody, "description": "The database refused the write; nothing has changed."},
}


@router.get("/arms")
async def arms(service: ServiceDep, caller: CallerDep) -> ArmsBody:
    """All arms, loaded or not."""
    return ArmsBody(arms=[_body(service, arm) for arm in service.arms])


@router.get("/arms/{name}", responses=_UNKNOWN)
async def arm(name: NameDep, service: ServiceDep, caller: CallerDep) -> ArmBody:
    """One arm."""
    match = service.arms.get(name)
    if match is None:
        raise NotFound(f"name: no arm {name!r}", param="name")
    return _body(service, match)


@router.post(
    "/arms",
    status_code=202,
    responses=_CHANGES
    | {202: {"model": ArmBody, "description": "The arm is loading; its `state` tells when it is ready."}},
    dependencies=[Depends(whole_characters)],
)
async def add(body: NewArmBody, service: ServiceDep, caller: CallerDep) -> ArmBody:
    """Add an arm. Its model loads while requests are served; it can be drawn after its self-test."""
    return _body(service, await service.lifecycle.add(body.to_settings()))


@router.patch("/arms/{name}", responses=_UNKNOWN | _CHANGES, dependencies=[Depends(whole_characters)])
async def change(name: NameDep, body: ArmStateBody, service: ServiceDep, caller: CallerDep) -> ArmBody:
    """Drain an arm, retire it, or enable it again."""
    return _body(service, await service.lifecycle.move(name, body.state))


def _body(service: Service, arm: Arm) -> ArmBody:
    learned: ArmState | None = service.learner.state.arms.get(arm.name)
    return ArmBody(
        name=arm.name,
        kind=arm.model.kind,
        state=arm.state,
        error=arm.error,
        free=arm.model.free,
        loaded=arm.loading == "ready",
        pulls=learned.pulls if learned else 0,
        updates=learned.updates if learned else 0,
        mean_reward=learned.mean_reward if learned else None,
    )
