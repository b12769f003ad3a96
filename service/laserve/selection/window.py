"""The feedback window: until when feedback is expected, and what is learned when none came."""

import asyncio
import logging
from dataclasses import dataclass, replace

from laserve.metrics import Metrics
from laserve.selection.feedback import FeedbackLog
from laserve.storage.base import Store
from laserve.types import Decision

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
#: Most decisions that are looked up at once.
_PAGE = 100


@dataclass(frozen=True, kw_only=True)
class Window:
    """How long feedback on a decision is waited for.

    Args:
        wait_s: seconds from the decision; None for ever.
        default_reward: learned then if no feedback has taught, in [0, 1]; None for nothing.
    """

    wait_s: float | None = None
    default_reward: float | None = None

    def open(self, decision: Decision) -> Decision:
        """The decision with the end of its window, and with the default reward if it may teach."""
        if self.wait_s is None:
            return decision
        return replace(
            decision,
            closes_at=decision.created_at + self.wait_s,
            default_reward=self.default_reward if decision.learnable else None,
        )


class DefaultRewards:
    """Sees to it that default rewards are learned as they fall due.

    Every process on a store may do so: a decision's default is learned once.
    """

    def __init__(self, *, store: Store, feedback: FeedbackLog, metrics: Metrics) -> None:
        self._store = store
        self._feedback = feedback
        self._metrics = metrics
        self._worker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._count()
        self._worker = asyncio.create_task(self._run(), name="default-rewards")

    async def close(self) -> None:
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    async def learn_due(self) -> None:
        """Learn all that are due now. Raises StoreError when the database refuses."""
        while due := await self._store.due(_PAGE):
            await asyncio.gather(*(self._feedback.lapse(decision_id) for decision_id in due))
        await self._count()

    async def _count(self) -> None:
        self._metrics.feedback_pending.set(await self._store.pending())

    async def _run(self) -> None:
        while True:
            try:
                await self.learn_due()
            except Exception as error:  # noqa: BLE001 - they stay due, and the next look tries again
                logger.warning("default rewards could not be learned: %s", error)
            await asyncio.sleep(_LOOK_EVERY_S)
