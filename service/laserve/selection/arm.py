"""One reward model as the service holds it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from laserve.scoring.base import RewardModel
from laserve.scoring.blend import Blend
from laserve.selection.circuit import Circuit
from laserve.selection.overlap import Overlap
from laserve.types import ArmStatus

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
    holders: int = 0
    #: Set while there are none.
    unheld: asyncio.Event = field(default_factory=_free)

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
        """Whether its scores are made of the other arms'."""
        return self.model.kind == Blend.kind

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep its model while a request may ask it."""
        self.holders += 1
        self.unheld.clear()
        try:
            yield
        finally:
            self.holders -= 1
            if not self.holders:
                self.unheld.set()
