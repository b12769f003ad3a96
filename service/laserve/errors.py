"""Every error that laserve raises on purpose.

LaserveError
├── ConfigError            a setting is wrong, or disagrees with the log; ``param`` names it
├── InvalidRequest         the request breaks a bound; ``param`` names the field
│   └── TooLarge           the body is larger than ``server.max_body_bytes``
├── Unauthorized           no API key, or an unknown one
├── Forbidden              the configuration does not allow it
├── NotFound               no such decision
├── Gone                   the decision was deleted
├── Conflict               the same idempotency key came with another body
├── ArmConflict            what an arm is, or another arm, stands against it
├── Overloaded             no permit is free; try again after ``retry_after`` seconds
├── Unavailable            a part that the request needs is not there now
│   ├── NotReady           still loading
│   ├── EngineError        the generator failed
│   └── StoreError         the database refused a read or a write
├── NoCandidate            no candidate finished by ``timeout_s``
├── ArmFailed              a reward model could not score this request
│   └── Unscorable         the request is not for this reward model, which is well
├── Damaged                what is stored of a decision cannot be used
└── CorruptLog             the event log does not verify
"""

from typing import Any, Self


class LaserveError(Exception):
    """The root: ``except LaserveError`` catches all that laserve raises on purpose."""

    status = 500
    type = "server_error"
    code = "internal_error"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class ConfigError(LaserveError):
    """A setting is wrong or contradicts the log; ``param`` names it, and so does the message."""

    code = "invalid_setting"

    @classmethod
    def at(cls, param: str, reason: str) -> Self:
        """The error of one setting, option or flag: its name, then what is wrong with it."""
        return cls(f"{param}: {reason}", param=param)


class InvalidRequest(LaserveError):
    """The request breaks a bound that the API states."""

    status = 422
    type = "invalid_request_error"
    code = "invalid_value"


class TooLarge(InvalidRequest):
    """The body is over the limit."""

    status = 413
    code = "body_too_large"


class Unauthorized(LaserveError):
    """The request carries no valid API key."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class Forbidden(LaserveError):
    """The configuration does not allow it; the message says what it allows."""

    status = 403
    type = "permission_error"
    code = "not_allowed"


class NotFound(LaserveError):
    """The thing that the request names does not exist."""

    status = 404
    type = "invalid_request_error"
    code = "not_found"


class Gone(LaserveError):
    """The decision was deleted."""

    status = 410
    type = "invalid_request_error"
    code = "deleted"


class Conflict(LaserveError):
    """The idempotency key was used before with another body, which ``stored`` holds."""

    status = 409
    type = "invalid_request_error"
    code = "idempotency_conflict"

    def __init__(
        self, message: str, *, stored: dict[str, Any] | None = None, param: str | None = None
    ) -> None:
        super().__init__(message, param=param)
        self.stored = stored


class ArmConflict(LaserveError):
    """What the arm is now, or another arm, stands against it."""

    status = 409
    type = "invalid_request_error"
    code = "arm_conflict"


class Overloaded(LaserveError):
    """No permit is free; ``retry_after`` is in whole seconds."""

    status = 429
    type = "rate_limit_error"
    code = "overloaded"

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(LaserveError):
    """A part that the request needs is not there now."""

    status = 503
    type = "unavailable_error"
    code = "unavailable"

    def __init__(self, message: str, *, retry_after: int = 5, param: str | None = None) -> None:
        super().__init__(message, param=param)
        #: Whole seconds after which it may be there again.
        self.retry_after = retry_after


class NotReady(Unavailable):
    """The service is still loading."""

    code = "not_ready"


class EngineError(Unavailable):
    """The generator failed."""

    code = "engine_error"


class StoreError(Unavailable):
    """The database refused a read or a write."""

    code = "store_error"


class NoCandidate(LaserveError):
    """No candidate finished by ``timeout_s``."""

    status = 504
    type = "timeout_error"
    code = "no_candidate"


class ArmFailed(LaserveError):
    """A reward model could not score this request; the request goes on with another."""

    code = "arm_failed"


class Unscorable(ArmFailed):
    """The request is not for this reward model: too long, or of a form it does not know. It says nothing of
    the model's health, so it opens no circuit.
    """


class Damaged(LaserveError):
    """What is stored of one decision cannot be used; the message says why. All else is served."""

    code = "damaged"


class CorruptLog(LaserveError):
    """The event log does not verify; the message names the first position that fails."""

    code = "corrupt_log"
