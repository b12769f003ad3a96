"""Errors that laserve raises on purpose.

LaserveError
├── ConfigError            a setting is wrong, or disagrees with the log; ``param`` names it
├── InvalidRequest         the request breaks a bound; ``param`` names the field
│   └── TooLarge           the body is larger than ``server.max_body_bytes``
├── Unauthorized           no API key, or an unknown one
├── Forbidden              the configuration does not allow the request
├── NotFound               no such decision
├── Gone                   the decision was deleted
├── Conflict               the idempotency key came before with another body
├── ArmConflict            the state of an arm forbids the change
├── Overloaded             no permit is free; try again after ``retry_after`` seconds
├── Unavailable            a part that the request needs is not available now
│   ├── NotReady           still loading
│   ├── EngineError        the generator failed
│   └── StoreError         the database refused a read or a write
├── NoCandidate            no candidate finished by ``timeout_s``
├── ArmFailed              a reward model could not score this request
│   └── Unscorable         this reward model, though healthy, does not take the request
├── Damaged                the stored data of a decision cannot be used
└── CorruptLog             the event log does not verify
"""

from typing import Any, Self


class LaserveError(Exception):
    """The root of the tree: ``except LaserveError`` catches all of them."""

    status = 500
    type = "server_error"
    code = "internal_error"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param


class ConfigError(LaserveError):
    """A setting is wrong or contradicts the log; ``param`` and the message name the setting."""

    code = "invalid_setting"

    @classmethod
    def at(cls, param: str, reason: str) -> Self:
        """The error of one setting, option or flag; the message is its name and the reason."""
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
    """The configuration does not allow the request; the message names what is allowed."""

    status = 403
    type = "permission_error"
    code = "not_allowed"


class NotFound(LaserveError):
    """The resource that the request names does not exist."""

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
    """The state of this arm, or of another one, forbids the change."""

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
    """A part that the request needs is not available now."""

    status = 503
    type = "unavailable_error"
    code = "unavailable"

    def __init__(self, message: str, *, retry_after: int = 5, param: str | None = None) -> None:
        super().__init__(message, param=param)
        #: Whole seconds after which the part may be available again.
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
    """A reward model could not score this request; the request goes on with another arm."""

    code = "arm_failed"


class Unscorable(ArmFailed):
    """The request is too long, or of an unknown form, for this reward model.

    The error does not concern the model's health, so it opens no circuit.
    """


class Damaged(LaserveError):
    """The stored data of one decision cannot be used; the message names the reason. All else is served."""

    code = "damaged"


class CorruptLog(LaserveError):
    """The event log does not verify; the message names the first failing position."""

    code = "corrupt_log"
