"""An arm: one reward model, its state, and the functions that make it."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from laserve.arms.circuit import STATES as CIRCUIT_STATES
from laserve.arms.circuit import Circuit, CircuitState
from laserve.arms.moments import Moments
from laserve.arms.overlap import Overlap
from laserve.config import ArmSettings
from laserve.errors import ArmFailed
from laserve.metrics import Metrics
from laserve.scoring import registry
from laserve.scoring.base import Reading, RewardModel
from laserve.types import ArmStatus, Request

ArmState = Literal["loading", "ready", "failed", "open", "half-open", "draining", "retired"]
STATES: tuple[ArmState, ...] = ("loading", "ready", "failed", "open", "half-open", "draining", "retired")


def _set_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass(kw_only=True)
class Arm:
    """One reward model and its state."""

    name: str
    model: RewardModel
    #: Most seconds that it may take for one request.
    timeout_s: float
    circuit: Circuit
    overlap: Overlap = field(default_factory=lambda: Overlap("off"))
    #: Moments of the scores that its model gave lately.
    scores: Moments = field(default_factory=Moments)
    #: State of its model; ``unloaded`` after it was closed, or where the arm was retired at the start.
    loading: Literal["loading", "ready", "failed", "unloaded"] = "loading"
    #: Reason of the failure to load, or of the last failure to score.
    error: str | None = None
    #: Status in the log.
    status: ArmStatus = "enabled"
    #: Number of requests under way that may still use it.
    requests: int = 0
    #: Set while there are no requests under way.
    idle: asyncio.Event = field(default_factory=_set_event)

    @property
    def state(self) -> ArmState:
        """The state that clients see: of its status, its loading or its circuit."""
        if self.status == "retired":
            return "retired"
        if self.loading in ("loading", "failed"):
            return self.loading
        if self.status == "draining":
            return "draining"
        return self.circuit.state if self.circuit.state != "closed" else "ready"

    @property
    def usable(self) -> bool:
        """Whether it has loaded and is enabled; its circuit is not considered."""
        return self.loading == "ready" and self.status == "enabled"

    @property
    def combines(self) -> bool:
        """Whether it combines the scores of the other arms; see `laserve.arms.blends`."""
        return self.model.kind in registry.COMBINING

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep its model loaded while a request may use it."""
        self.requests += 1
        self.idle.clear()
        try:
            yield
        finally:
            self.requests -= 1
            if not self.requests:
                self.idle.set()


def make_arm(settings: ArmSettings, shared: Mapping[str, Any], metrics: Metrics) -> Arm:
    """A new arm, not loaded yet; its metrics are created with it.

    Args:
        shared: parts of the service that a kind may take, by name.

    Raises:
        ConfigError: the kind or an option is unknown, or refused; the message begins with its name.
    """
    name = settings.name
    model = registry.create(settings.kind, settings.options, shared)

    def publish(current: CircuitState) -> None:
        for state in CIRCUIT_STATES:
            metrics.rm_circuit.labels(name, state).set(state == current)

    ahead = model.reads_ahead and not model.free
    return Arm(
        name=name,
        model=model,
        timeout_s=settings.timeout_s,
        circuit=Circuit(
            failures=settings.circuit_failures, open_s=settings.circuit_open_s, on_change=publish
        ),
        overlap=Overlap(settings.overlap if ahead else "off", on_change=metrics.rm_overlap.labels(name).set),
    )


class UnavailableModel:
    """The stand-in for a model that could not be made, or is not needed: it fails to load with a reason.

    Args:
        kind: kind of the model that it stands for.
        why: the reason.
    """

    free = False
    needs_all = False
    reads_ahead = False

    def __init__(self, kind: str, why: str) -> None:
        self.kind = kind
        self._why = why

    async def load(self) -> None:
        raise ArmFailed(self._why)

    def open(self, request: Request) -> Reading:
        raise ArmFailed(self._why)

    async def close(self) -> None: ...


def unavailable_arm(name: str, kind: str, why: str) -> Arm:
    """An arm without a model: it fails to load, for the reason `why`."""
    circuit = Circuit(failures=1, open_s=1.0, on_change=lambda state: None)
    return Arm(name=name, model=UnavailableModel(kind, why), timeout_s=1.0, circuit=circuit)
