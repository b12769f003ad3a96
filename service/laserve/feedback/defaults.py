"""Default rewards: learned when a decision's feedback window closes and no feedback has taught."""

import asyncio
import logging

from laserve.feedback.record import FeedbackLog
from laserve.metrics import Metrics
from laserve.storage.base import Store

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
#: Most decisions that are looked up at once.
_PAGE = 100


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
