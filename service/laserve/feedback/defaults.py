"""The worker of default rewards, learned where a feedback window closes and no feedback has taught."""

import asyncio
import logging

from laserve.errors import Conflict, Damaged, Gone
from laserve.eventlog.event_log import EventLog
from laserve.feedback.entries import DefaultEntry
from laserve.metrics import Metrics
from laserve.storage.base import Store

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
#: Most decisions that one query returns.
_PAGE = 100


class DefaultRewards:
    """The worker that learns default rewards when they fall due.

    Every process on a store may run one: a decision's default is learned once.
    """

    def __init__(self, *, store: Store, log: EventLog, metrics: Metrics) -> None:
        self._store = store
        self._log = log
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
        """Learn all default rewards that are due now. Raises StoreError when the database refuses."""
        while due := await self._store.due(_PAGE):
            await asyncio.gather(*(self.learn(decision_id) for decision_id in due))
        await self._count()

    async def learn(self, decision_id: str) -> None:
        """Learn the default reward of a decision, unless feedback has taught or the decision was deleted.

        Raises:
            StoreError: the database refused; nothing was recorded.
        """
        try:
            await self._log.submit(DefaultEntry(decision_id=decision_id))
        except Damaged as error:
            logger.warning("no default reward is learned: %s", error.message)
        except (Conflict, Gone):
            pass

    async def _count(self) -> None:
        self._metrics.feedback_pending.set(await self._store.pending())

    async def _run(self) -> None:
        while True:
            try:
                await self.learn_due()
            except Exception as error:  # noqa: BLE001 - they stay due, and the next round tries again
                logger.warning("default rewards could not be learned: %s", error)
            await asyncio.sleep(_LOOK_EVERY_S)
