"""A store, the event log over it and the recorder of feedback, as a service has them, in this process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from builders import make_arm_event, make_decision, make_feedback, make_start
from laserve.eventlog.event_log import EventLog
from laserve.eventlog.learner import Learner
from laserve.feedback.defaults import DefaultRewards
from laserve.feedback.record import Recorder
from laserve.feedback.rewards import UNIT, RewardRange
from laserve.metrics import Metrics
from laserve.storage.store import SqlStore
from laserve.types import Decision, Event, FeedbackOutcome

ARMS = ("consensus", "loglik", "relevance")


def decided(number: int, **changes: Any) -> Decision:
    return make_decision(id=f"d-{number}", x=np.array([1.0, number / 4]), **changes)


class House:
    """A store, a learner, the event log and the recorder of feedback.

    Args:
        path: the database; None for a temporary one.
    """

    def __init__(self, discount: float, path: Path | None = None) -> None:
        self.store = SqlStore(path)
        self.learner = Learner(seed=0)
        self.metrics = Metrics()
        self.log, self.recorder = self.made()
        self.first = [make_start(prior_diagonal=[1.0, 1.0], discount=discount)]
        self.first += [make_arm_event(2 + place, name, [0.5, 0.0]) for place, name in enumerate(ARMS)]

    def made(self, reward_range: RewardRange = UNIT) -> tuple[EventLog, Recorder]:
        log = EventLog(store=self.store, learner=self.learner, metrics=self.metrics, snapshot_every=1000)
        return log, Recorder(store=self.store, log=log, metrics=self.metrics, reward_range=reward_range)

    async def restart(self, reward_range: RewardRange) -> None:
        """As with another `feedback.reward_range`."""
        await self.log.close()
        self.log, self.recorder = self.made(reward_range)
        await self.log.start()

    async def open(self) -> "House":
        await self.store.open()
        async with self.store.writing() as log:
            new = await log.tip() == 0
        if new:
            async with self.store.writing() as log:
                for event in self.first:
                    await log.append(event)
        await self.learner.load(self.store)
        await self.log.start()
        return self

    async def close(self) -> None:
        await self.log.close()
        await self.store.close()

    async def say(self, number: int, reward: float, **changes: Any) -> FeedbackOutcome:
        feedback = make_feedback("reward", reward, decision_id=f"d-{number}", **changes)
        return await self.recorder.record(feedback)

    async def learn_default(self, decision_id: str) -> None:
        defaults = DefaultRewards(store=self.store, log=self.log, metrics=self.metrics)
        await defaults.learn(decision_id)

    async def events(self) -> list[Event]:
        return [event async for event in self.store.events(after=len(self.first))]


@asynccontextmanager
async def opened(path: Path, discount: float = 1.0) -> AsyncIterator[House]:
    """A house on this database, closed when the block ends."""
    house = await House(discount, path).open()
    try:
        yield house
    finally:
        await house.close()
