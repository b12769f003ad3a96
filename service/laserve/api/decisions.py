"""Endpoints ``GET`` and ``DELETE /decisions/{id}``."""

import time
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from laserve.api.bodies.answers import DecisionBody, ErrorBody, StoredDecision, StoredFeedbackBody
from laserve.api.dependencies import CallerDep, ServiceDep

router = APIRouter(tags=["decisions"])

_ERRORS: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorBody, "description": "No decision has this id."},
    410: {"model": ErrorBody, "description": "The decision was deleted."},
    422: {"model": ErrorBody, "description": "The request is invalid; `param` names the field."},
}


@router.get("/decisions/{decision_id}", responses=_ERRORS)
async def read(decision_id: str, service: ServiceDep, caller: CallerDep) -> StoredDecision:
    """A decision as it was logged, with its feedback."""
    decision = await service.store.decision(decision_id)
    rows = await service.store.feedback_rows(decision_id)
    return StoredDecision(
        **dict(DecisionBody.of(decision)),
        created_at=decision.created_at,
        log_position=decision.log_position,
        task=decision.task,
        sampling=vars(decision.sampling),
        request=None if decision.request is None else dict(decision.request),
        metadata=dict(decision.metadata),
        choices=dict(decision.choices),
        scores={arm: list(scores) for arm, scores in decision.scores.items()},
        shadowed=decision.shadowed,
        preferred=decision.preferred,
        feedback=[
            StoredFeedbackBody(
                position=row.position,
                learned=row.learned,
                reward=row.reward,
                created_at=row.created_at,
                body=row.body,
            )
            for row in rows
        ],
    )


@router.delete("/decisions/{decision_id}", status_code=204, responses=_ERRORS)
async def delete(decision_id: str, service: ServiceDep, caller: CallerDep) -> Response:
    """Remove a decision's texts, references and metadata for good.

    The context x, the arm and the rewards stay in the log: the policy does not unlearn them.
    """
    await service.store.erase(decision_id, time.time())
    return Response(status_code=204)
