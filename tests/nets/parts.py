"""The parts of the service that golden tests use; no other module of theirs imports any."""

from laserve.api.app import create_app
from laserve.bandit.state.fold import BanditState
from laserve.cli import main
from laserve.config import GenerationSettings, Settings
from laserve.config import load as load_settings
from laserve.context.features import Features
from laserve.feedback.defaults import DefaultRewards
from laserve.generation.fingerprint import generator_fingerprint, template_fingerprint
from laserve.scoring.fingerprint import arm_fingerprint
from laserve.serve.lifespan import load, running
from laserve.serve.wiring import make_service, make_store
from laserve.storage.base import LogWriter, Store
from laserve.storage.store import SqlStore
from laserve.types import Decision, Event

__all__ = [
    "BanditState",
    "Decision",
    "DefaultRewards",
    "Event",
    "Features",
    "GenerationSettings",
    "LogWriter",
    "Settings",
    "SqlStore",
    "Store",
    "arm_fingerprint",
    "create_app",
    "generator_fingerprint",
    "load",
    "load_settings",
    "main",
    "make_service",
    "make_store",
    "running",
    "template_fingerprint",
]
