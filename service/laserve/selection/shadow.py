"""Shadow scoring: scores of the arms that did not score a request, computed after its answer."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from laserve.arms.arms import Arms
from laserve.arms.attempt import Scored
from laserve.arms.blends import Blends
from laserve.bandit.policies.base import uniform
from laserve.errors import ArmFailed, LaserveError
from laserve.metrics import Metrics
from laserve.selection.panel import combined
from laserve.storage.base import Store
from laserve.types import Decision, Request

logger = logging.getLogger(__name__)

#: Most requests in the queue, and most seconds that a request waits there while the service is busy.
_QUEUE, _PATIENCE_S = 32, 30.0
#: Seconds between two checks whether the service is still busy.
_LOOK_EVERY_S = 0.05
#: Most seconds that feedback waits for the shadow scores of its decision.
_FEEDBACK_WAITS_S = 30.0


@dataclass(frozen=True, kw_only=True)
class _Job:
    request: Request
    decision: Decision
    queued_at: float
    done: asyncio.Future[None]


class Shadows:
    """Scores of every arm for a share of the requests, so that feedback on candidates teaches all arms.

    A hash of the decision's id selects the request, independently of the drawn arm. The requests are scored
    one after another after their answers, while the service is not busy; a request that waits too long is
    dropped and counted.

    Args:
        share: share of the requests that is selected, in [0, 1].
        seed: seed of the selection.
        busy: whether the requests under way need the whole service.
    """

    def __init__(
        self,
        *,
        arms: Arms,
        blends: Blends,
        store: Store,
        metrics: Metrics,
        share: float,
        seed: int,
        busy: Callable[[], bool],
    ) -> None:
        self._arms = arms
        self._blends = blends
        self._store = store
        self._metrics = metrics
        self._share = share
        self._seed = seed
        self._busy = busy
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue(_QUEUE)
        self._pending: dict[str, asyncio.Future[None]] = {}
        self._worker: asyncio.Task[None] | None = None

    def selects(self, decision_id: str) -> bool:
        """Whether the request of this decision is among those that all arms score."""
        return uniform(self._seed, f"shadow:{decision_id}") < self._share

    def submit(self, request: Request, decision: Decision) -> None:
        """Queue a request for the arms that have not scored it. Its decision must be stored already.

        Args:
            decision: the decision with its candidates' texts.
        """
        done = asyncio.get_running_loop().create_future()
        job = _Job(request=request, decision=decision, queued_at=time.monotonic(), done=done)
        try:
            self._jobs.put_nowait(job)
        except asyncio.QueueFull:
            self._count("dropped")
        else:
            self._pending[decision.id] = done

    async def wait(self, decision_id: str) -> None:
        """Wait until no shadow scores of a decision are outstanding, but for a limited time."""
        if (pending := self._pending.get(decision_id)) is not None:
            await asyncio.wait({pending}, timeout=_FEEDBACK_WAITS_S)

    def start(self) -> None:
        self._worker = asyncio.create_task(self._run(), name="shadow-scoring")

    async def close(self) -> None:
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        for pending in self._pending.values():
            pending.cancel()

    async def _run(self) -> None:
        while True:
            job = await self._jobs.get()
            try:
                self._count(await self._process(job))
            except LaserveError as error:  # the decision was deleted, or the database refuses
                logger.warning("shadow scores of %s are lost: %s", job.decision.id, error.message)
                self._count("failed")
            finally:
                del self._pending[job.decision.id]
                job.done.set_result(None)

    async def _process(self, job: _Job) -> str:
        """Score and store one request, and return the outcome for the metric."""
        while self._busy():
            if time.monotonic() - job.queued_at > _PATIENCE_S:
                return "dropped"
            await asyncio.sleep(_LOOK_EVERY_S)
        alone = self._blends.alone
        missing = [name for name in alone if name not in job.decision.scores]
        with self._arms.holding(missing):
            results = await asyncio.gather(*(self._score(name, job) for name in missing))
        by_arm = {name: scored for name, scored in zip(missing, results, strict=True) if scored is not None}
        complete = len(by_arm) == len(missing)
        if complete:
            by_arm |= self._combined(job.decision, alone, by_arm)
        if by_arm:
            choices = {name: scored.best for name, scored in by_arm.items()}
            scores = {name: scored.values() for name, scored in by_arm.items()}
            await self._store.add_scores(job.decision.id, choices=choices, scores=scores)
        self._compare(job.decision, by_arm)
        return "scored" if complete else "failed"

    def _combined(
        self, decision: Decision, alone: Sequence[str], by_arm: Mapping[str, Scored]
    ) -> dict[str, Scored]:
        """The scores of the arms that combine the scores of others."""
        known = {**{name: Scored.logged(decision, name) for name in decision.scores}, **by_arm}
        parts = {name: known[name] for name in alone}
        return {
            name: combined(ensemble, parts, decision.candidates)
            for name, ensemble in self._blends.ensembles(decision.task).items()
            if name not in known
        }

    async def _score(self, name: str, job: _Job) -> Scored | None:
        try:
            return await self._arms.score(name, job.request, job.decision.candidates)
        except ArmFailed as error:
            logger.info("arm %s has no shadow scores: %s", name, error.message)
            return None

    def _compare(self, decision: Decision, by_arm: dict[str, Scored]) -> None:
        returned = decision.same_text[decision.index]
        choices = dict(decision.choices) | {name: scored.best for name, scored in by_arm.items()}
        for name, best in choices.items():
            agrees = "yes" if decision.same_text[best] == returned else "no"
            self._metrics.rm_shadow.labels(name, agrees).inc()

    def _count(self, outcome: str) -> None:
        self._metrics.shadow.labels(outcome).inc()
