"""One reward model as the service holds it."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from laserve.arms.circuit import STATES as CIRCUIT_STATES
from laserve.arms.circuit import Circuit, CircuitState
from laserve.arms.overlap import Overlap
from laserve.config import ArmSettings
from laserve.errors import ArmFailed
from laserve.metrics import Metrics
from laserve.scoring import registry
from laserve.scoring.base import Reading, RewardModel
from laserve.types import ArmStatus, Request

ArmState = Literal["loading", "ready", "failed", "open", "half-open", "draining", "retired"]
STATES: tuple[ArmState, ...] = ("loading", "ready", "failed", "open", "half-open", "draining", "retired")


def _free() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass(kw_only=True)
class Arm:
    """One reward model and what is known of it."""

    name: str
    model: RewardModel
    #: Seconds it may take for one request.
    timeout_s: float
    circuit: Circuit
    overlap: Overlap = field(default_factory=lambda: Overlap("off"))
    #: How far its model has come; ``unloaded`` once it is closed, or was never wanted.
    loading: Literal["loading", "ready", "failed", "unloaded"] = "loading"
    #: Why it failed to load, or last failed to score.
    error: str | None = None
    #: As the log has it.
    status: ArmStatus = "enabled"
    #: Requests under way that may still ask it.
    requests: int = 0
    #: Set while there are none.
    idle: asyncio.Event = field(default_factory=_free)

    @property
    def state(self) -> ArmState:
        """What a client is told: its status, how far it has loaded, or its circuit."""
        if self.status == "retired":
            return "retired"
        if self.loading in ("loading", "failed"):
            return self.loading
        if self.status == "draining":
            return "draining"
        return self.circuit.state if self.circuit.state != "closed" else "ready"

    @property
    def usable(self) -> bool:
        """Whether new requests may ask it, as far as it has loaded and the log lets them."""
        return self.loading == "ready" and self.status == "enabled"

    @property
    def combines(self) -> bool:
        """Whether its scores are made of the other arms'; `laserve.arms.blends` says how."""
        return self.model.kind in registry.COMBINING

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep its model while a request may ask it."""
        self.requests += 1
        self.idle.clear()
        try:
            yield
        finally:
            self.requests -= 1
            if not self.requests:
                self.idle.set()


def make_arm(settings: ArmSettings, shared: Mapping[str, Any], metrics: Metrics) -> Arm:
    """Make an arm; its metrics begin with it.

    Args:
        shared: parts of the service that a kind may ask for by name.

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
    """In place of a model that could not be made, or is not wanted now: fails to load, and says why.

    Args:
        kind: of the model that it stands for.
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
    """An arm of which there is nothing but its name."""
    circuit = Circuit(failures=1, open_s=1.0, on_change=lambda state: None)
    return Arm(name=name, model=UnavailableModel(kind, why), timeout_s=1.0, circuit=circuit)
