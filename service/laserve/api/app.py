"""The HTTP application: its routes and middleware."""

from fastapi import FastAPI

from laserve import __version__
from laserve.api import arms as arms_api
from laserve.api import bandit, decisions, errors, export, feedback, generate, health
from laserve.api.middleware import BodyLimit, CancelOnDisconnect, CountRequests
from laserve.service import Service


def create_app(service: Service) -> FastAPI:
    """The HTTP application of a service; the caller opens and loads the service."""
    settings = service.settings
    app = FastAPI(
        title="laserve",
        version=__version__,
        summary="Best-of-n sampling at inference time; a bandit chooses the reward model of each request.",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.service = service
    errors.install(app)
    app.include_router(health.router)
    for resource in (generate, feedback, decisions, export, arms_api, bandit):
        app.include_router(resource.router)
        app.include_router(resource.router, prefix="/v1", include_in_schema=False)
    app.add_middleware(BodyLimit, max_bytes=settings.server.max_body_bytes)
    app.add_middleware(CancelOnDisconnect, underway=service.underway)
    app.add_middleware(CountRequests, metrics=service.metrics)
    return app
