"""The parts of one running service, as the endpoints see them."""

from dataclasses import dataclass
from typing import Literal

from laserve.api.admission import Permits
from laserve.config import Settings
from laserve.errors import Unavailable
from laserve.generation.base import Generator
from laserve.metrics import Metrics
from laserve.selection.answering import Answerer
from laserve.selection.arms import Arms
from laserve.selection.context import ContextBuilder
from laserve.selection.feedback import FeedbackLog
from laserve.selection.learner import Learner
from laserve.storage.base import Store

#: Seconds that answers under way may take to finish once the service is told to stop.
DRAIN_S = 30

Progress = Literal["loading", "ready", "failed"]


@dataclass(kw_only=True)
class Service:
    """What the composition root wires and the endpoints use."""

    settings: Settings
    metrics: Metrics
    store: Store
    generator: Generator
    context: ContextBuilder
    arms: Arms
    learner: Learner
    answerer: Answerer
    feedback: FeedbackLog
    permits: Permits
    #: How far the generator has come.
    generator_state: Progress = "loading"

    @property
    def generator_status(self) -> Progress:
        """How far the generator has come, or ``failed`` once it has died."""
        if self.generator_state != "ready":
            return self.generator_state
        try:
            self.generator.check()
        except Unavailable:
            return "failed"
        return "ready"

    @property
    def status(self) -> Progress:
        """Ready when the generator and one arm are."""
        if self.generator_status != "ready":
            return self.generator_status
        if self.arms.ready:
            return "ready"
        return "loading" if any(arm.state == "loading" for arm in self.arms) else "failed"
