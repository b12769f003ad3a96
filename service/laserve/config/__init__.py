"""Settings: their sections and their sources."""

from laserve.config.environment import PREFIX
from laserve.config.loading import PROFILES, load
from laserve.config.prior import Expected, read_prior
from laserve.config.section import Section
from laserve.config.sections import (
    MAX_CANDIDATES,
    ArmSettings,
    ContextSettings,
    FeedbackSettings,
    GenerationSettings,
    LogSettings,
    PolicySettings,
    SamplingDefaults,
    ScoringSettings,
    ServerSettings,
    StorageSettings,
)
from laserve.config.settings import Settings

__all__ = [
    "MAX_CANDIDATES",
    "PREFIX",
    "PROFILES",
    "ArmSettings",
    "ContextSettings",
    "Expected",
    "FeedbackSettings",
    "GenerationSettings",
    "LogSettings",
    "PolicySettings",
    "SamplingDefaults",
    "ScoringSettings",
    "Section",
    "ServerSettings",
    "Settings",
    "StorageSettings",
    "load",
    "read_prior",
]
