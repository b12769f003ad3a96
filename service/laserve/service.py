"""The parts of one running service, and whether they serve."""

from dataclasses import dataclass, field
from typing import Literal, Protocol

from laserve.admission import Permits, Underway
from laserve.arms.arms import Arms
from laserve.arms.blends import Blends
from laserve.arms.lifecycle import Lifecycle
from laserve.bandit.policies.registry import Policies
from laserve.config import Settings
from laserve.context.features import ContextBuilder
from laserve.errors import NotReady, Unavailable
from laserve.eventlog.event_log import EventLog
from laserve.eventlog.learner import Learner
from laserve.eventlog.opening import LogOpening
from laserve.feedback.record import Recorder
from laserve.generation.base import Generator
from laserve.history.offpolicy import Evaluator
from laserve.metrics import Metrics
from laserve.selection.answer import Answerer
from laserve.selection.shadow import Shadows
from laserve.storage.base import Store

#: Seconds after `server.drain_s` within which aborted requests must end.
ABORT_S = 2.0

Progress = Literal["loading", "ready", "restarting", "failed"]


class Engines(Protocol):
    """The engines of the arms that have one."""

    def open(self) -> None:
        """Allow engines to start from now on."""

    def retire(self) -> None:
        """Restart no engine that dies from now on."""

    async def close(self) -> None:
        """Close all engines, and wait until they have ended."""


@dataclass(kw_only=True)
class Service:
    """The parts that `laserve.serve.wiring` makes and the endpoints use."""

    settings: Settings
    metrics: Metrics
    store: Store
    generator: Generator
    context: ContextBuilder
    arms: Arms
    blends: Blends
    engines: Engines
    learner: Learner
    policies: Policies
    answerer: Answerer
    shadows: Shadows
    log: EventLog
    opening: LogOpening
    feedback: Recorder
    evaluator: Evaluator
    lifecycle: Lifecycle
    permits: Permits
    underway: Underway = field(default_factory=Underway)
    #: State of the generator's first start.
    generator_state: Progress = "loading"

    @property
    def generator_status(self) -> Progress:
        """State of the generator; ``restarting`` after it has died."""
        if self.generator_state == "ready" and self.generator_problem is not None:
            return "restarting"
        return self.generator_state

    @property
    def generator_problem(self) -> str | None:
        """Reason why the generator cannot serve now; None if it can."""
        try:
            self.generator.check()
        except Unavailable as error:
            return error.message
        return None

    async def check(self) -> None:
        """Raise Unavailable if no decision can be made now."""
        if self.generator_state == "ready":
            self.generator.check()
        if self.store.refusing:
            await self.store.check()
        if self.status != "ready":
            raise NotReady(f"the service is {self.status}; see /readyz")

    @property
    def status(self) -> Progress:
        """State of the service; ready when the generator and an arm are ready, and the log has begun."""
        if (generator := self.generator_status) != "ready":
            return generator
        if self.arms.ready:
            return "loading" if self.opening.pending else "ready"
        return "loading" if any(arm.loading == "loading" for arm in self.arms) else "failed"
