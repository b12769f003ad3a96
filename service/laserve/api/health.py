"""Endpoints ``GET /healthz``, ``/readyz`` and ``/metrics``."""

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from laserve.api import scrape
from laserve.api.bodies.answers import Health, Readiness
from laserve.api.dependencies import ServiceDep
from laserve.errors import StoreError
from laserve.service import Progress

router = APIRouter(tags=["operation"])


@router.get("/healthz")
async def healthz() -> Health:
    """Answer 200 while the process is alive."""
    return Health(status="ok")


@router.get(
    "/readyz",
    responses={503: {"model": Readiness, "description": "The service is not ready; `why` names the parts."}},
)
async def readyz(service: ServiceDep, response: Response) -> Readiness:
    """Answer 200 when the store and the generator serve and at least one arm has loaded."""
    status = service.status
    store: Progress = "ready"
    why = {arm.name: arm.error for arm in service.arms if arm.state != "ready" and arm.error}
    if (problem := service.generator_problem) is not None:
        why["generator"] = problem
    try:
        await service.store.check()
    except StoreError as error:
        status = store = "failed"
        why["store"] = error.message
    response.status_code = 200 if status == "ready" else 503
    return Readiness(
        status=status,
        store=store,
        generator=service.generator_status,
        arms={arm.name: arm.state for arm in service.arms},
        why=why,
    )


@router.get("/metrics", response_class=Response)
async def metrics(service: ServiceDep) -> Response:
    """Metrics in Prometheus text: those of laserve, then those of the process and of vLLM."""
    await scrape.publish(service)
    return Response(service.metrics.render() + generate_latest(), media_type=CONTENT_TYPE_LATEST)
