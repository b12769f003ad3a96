"""Client of laserve: best-of-n with learned choice of the reward model.

`Client` and `AsyncClient` have equal methods. `GenerateRequest`, `Feedback`, `FeedbackLine` and `ArmSettings`
define their arguments, the frozen dataclasses here their results, and `LaserveClientError` is the root of
their errors.
"""

import importlib.metadata

from laserve_client._answers import (
    Arm,
    BatchOutcome,
    Candidate,
    Change,
    Decision,
    FeedbackOutcome,
    Health,
    PolicyArm,
    PolicyState,
    Readiness,
    RewardScale,
    StoredDecision,
    StoredFeedback,
    Usage,
    Why,
)
from laserve_client._async_client import AsyncClient
from laserve_client._client import Client
from laserve_client._errors import (
    APIError,
    Conflict,
    ConnectionFailed,
    Forbidden,
    Gone,
    InvalidRequest,
    LaserveClientError,
    NotFound,
    Overloaded,
    TimedOut,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
)
from laserve_client._requests import ArmSettings, Document, Feedback, FeedbackLine, GenerateRequest, Message

__version__ = importlib.metadata.version("laserve-client")

__all__ = [
    "APIError",
    "Arm",
    "ArmSettings",
    "AsyncClient",
    "BatchOutcome",
    "Candidate",
    "Change",
    "Client",
    "Conflict",
    "ConnectionFailed",
    "Decision",
    "Document",
    "Feedback",
    "FeedbackLine",
    "FeedbackOutcome",
    "Forbidden",
    "GenerateRequest",
    "Gone",
    "Health",
    "InvalidRequest",
    "LaserveClientError",
    "Message",
    "NotFound",
    "Overloaded",
    "PolicyArm",
    "PolicyState",
    "Readiness",
    "RewardScale",
    "StoredDecision",
    "StoredFeedback",
    "TimedOut",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "Usage",
    "Why",
    "__version__",
]
