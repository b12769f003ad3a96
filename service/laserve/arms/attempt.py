"""An arm's attempt to score a request: all candidates at the end, or each as it finishes."""

import asyncio
import logging
import math
import time
import traceback
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from laserve.arms.arm import Arm
from laserve.errors import ArmFailed, LaserveError, Unscorable
from laserve.metrics import Metrics
from laserve.scoring.base import Reading
from laserve.types import Candidate, Decision, Request, Vector

T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Scored:
    """The scores of one request's candidates by one arm."""

    #: Shape (n,), float64; NaN where the arm gave no finite score.
    scores: Vector
    #: Index of the candidate that the arm would return.
    best: int
    #: Whether documents were cut to fit the arm's model.
    truncated: bool = False

    @classmethod
    def logged(cls, decision: Decision, arm: str) -> "Scored":
        """The scores of an arm in a stored decision."""
        values = [math.nan if score is None else score for score in decision.scores[arm]]
        return cls(scores=np.array(values, dtype=np.float64), best=decision.choices[arm])

    def values(self) -> tuple[float | None, ...]:
        return tuple(None if math.isnan(score) else float(score) for score in self.scores)

    @property
    def margin(self) -> float | None:
        """Best score minus the second best; None with fewer than two."""
        finite = np.sort(self.scores[np.isfinite(self.scores)])
        return float(finite[-1] - finite[-2]) if len(finite) > 1 else None


class Attempt:
    """One attempt of one arm at one request. The caller must `close` it in every case.

    After `begin`, the arm reads the prompt and scores candidates as they are added; without it, the arm does
    all of that in `result`. Both ways give equal scores.

    Args:
        on_open: receives the arm when its circuit opens.
    """

    def __init__(
        self, arm: Arm, request: Request, *, metrics: Metrics, on_open: Callable[[Arm], None]
    ) -> None:
        #: Whether candidates are scored as they finish.
        self.overlapping = False
        self.arm = arm
        self._request = request
        self._metrics = metrics
        self._on_open = on_open
        #: Number from `Circuit.begin`; None before it, and after the circuit knows how the attempt ended.
        self._begun: int | None = None
        self._reading: Reading | None = None
        self._prefill: asyncio.Task[None] | None = None
        #: Text -> the task that scores it.
        self._early: dict[str, asyncio.Task[Vector]] = {}

    def begin(self) -> None:
        """Start to read the prompt, where the model can read ahead and the circuit admits the request."""
        model = self.arm.model
        if model.reads_ahead and not model.needs_all and self.arm.circuit.admits:
            self.overlapping = True
            self._begun = self.arm.circuit.begin()
            self._prefill = _start(self._read_ahead())

    def add(self, candidate: Candidate) -> None:
        """Add a candidate that has finished."""
        if self.overlapping and candidate.text not in self._early:
            self._early[candidate.text] = _start(self._score_one(candidate))

    async def result(self, candidates: Sequence[Candidate]) -> Scored:
        """Scores of all candidates, including those already added; equal texts are scored once.

        Raises:
            ArmFailed: the arm raised, took longer than its timeout from this call on, gave no finite score,
                or its circuit admits no request.
        """
        if self._begun is None:
            if not self.arm.circuit.admits:
                raise ArmFailed(f"its circuit is {self.arm.circuit.state}")
            self._begun = self.arm.circuit.begin()
        started = time.perf_counter()
        try:
            scores = await within(self.arm.timeout_s, self._scores(candidates))
        except Unscorable:
            self._metrics.rm_failed.labels(self.arm.name).inc()
            raise
        except Exception as error:  # a scorer may raise anything: it costs the arm, not the request
            why = self._failed(error)
            raise ArmFailed(why) from error
        else:
            return self._succeeded(scores, candidates)
        finally:
            self._metrics.rm_seconds.labels(self.arm.name).observe(time.perf_counter() - started)
            self.close()

    def close(self) -> None:
        """Cancel the work that is still under way, and close the reading."""
        for task in (self._prefill, *self._early.values()):
            if task is not None:
                task.cancel()
        reading, self._reading = self._reading, None
        if reading is not None:
            try:
                reading.close()
            except Exception as error:  # noqa: BLE001 - a scorer may raise anything: the request goes on
                # The error's message is left out, because it may quote the request.
                name = type(error).__name__
                logger.warning("arm %s: a reading could not be closed: it raised %s", self.arm.name, name)
        if self._begun is not None:
            self.arm.circuit.gave_up(self._begun)
            self._begun = None

    def _open_reading(self) -> Reading:
        """The reading of this attempt, opened on the first call; an error here counts against the arm."""
        if self._reading is None:
            self._reading = self.arm.model.open(self._request)
        return self._reading

    async def _read_ahead(self) -> None:
        await self._open_reading().prefill()

    async def _score_one(self, candidate: Candidate) -> Vector:
        return await _scores_of(self._open_reading(), [candidate])

    async def _scores(self, candidates: Sequence[Candidate]) -> Vector:
        if not self.overlapping:
            reading = self._open_reading()
            return await score_distinct(reading, candidates, needs_all=self.arm.model.needs_all)
        for candidate in candidates:
            self.add(candidate)
        texts = list(dict.fromkeys(candidate.text for candidate in candidates))
        scores = await asyncio.gather(*(self._early[text] for text in texts))
        by_text = {text: float(score[0]) for text, score in zip(texts, scores, strict=True)}
        return some_finite(np.array([by_text[candidate.text] for candidate in candidates]))

    def _succeeded(self, scores: Vector, candidates: Sequence[Candidate]) -> Scored:
        begun, self._begun = self._begun, None
        if begun is not None and self.arm.circuit.succeeded(begun):
            self.arm.error = None
        name = self.arm.name
        truncated = self._reading is not None and self._reading.truncated
        self._metrics.rm_non_finite.labels(name).inc(int(np.isnan(scores).sum()))
        self._metrics.rm_truncated.labels(name).inc(truncated)
        histogram = self._metrics.rm_score.labels(name)
        for score in scores[np.isfinite(scores)].tolist():
            histogram.observe(score)
            self.arm.scores.add(score)
        return Scored(scores=scores, best=best_of(scores, candidates), truncated=truncated)

    def _failed(self, error: Exception) -> str:
        """Count the failure, and return its reason."""
        arm, begun, self._begun = self.arm, self._begun, None
        self._metrics.rm_failed.labels(arm.name).inc()
        arm.error = (
            f"no scores within {arm.timeout_s:g} s" if isinstance(error, TimeoutError) else reason(error)
        )
        if not isinstance(error, LaserveError | TimeoutError):
            # The error's message may quote the request, which neither the log nor a decision may keep.
            where = "".join(traceback.format_tb(error.__traceback__))
            logger.error("arm %s raised %s:\n%s", arm.name, type(error).__name__, where)
            arm.error = f"raised {type(error).__name__}"
        why = arm.error
        if begun is not None and arm.circuit.failed(begun):
            logger.error("arm %s: circuit open for %g s: %s", arm.name, arm.circuit.open_s, why)
            self._on_open(arm)
        return why


async def score_distinct(reading: Reading, candidates: Sequence[Candidate], *, needs_all: bool) -> Vector:
    """Scores of all candidates in one call, shape (n,); NaN where one is not finite.

    Args:
        needs_all: `RewardModel.needs_all` of the reading's model; if False, equal texts are scored once.

    Raises:
        ArmFailed: the scores do not fit the candidates, or none is finite.
    """
    if needs_all:
        return some_finite(await _scores_of(reading, candidates))
    distinct = list({candidate.text: candidate for candidate in reversed(candidates)}.values())[::-1]
    scores = some_finite(await _scores_of(reading, distinct))
    by_text = {candidate.text: score for candidate, score in zip(distinct, scores, strict=True)}
    return np.array([by_text[candidate.text] for candidate in candidates])


def some_finite(scores: Vector) -> Vector:
    """The scores, unchanged. Raises ArmFailed when all are NaN."""
    if np.isnan(scores).all():
        raise ArmFailed("gave no finite score")
    return scores


async def _scores_of(reading: Reading, candidates: Sequence[Candidate]) -> Vector:
    scores = np.asarray(await reading.score(candidates), dtype=np.float64)
    if scores.shape != (len(candidates),):
        raise ArmFailed(f"gave scores of shape {scores.shape} for {len(candidates)} candidates")
    return np.where(np.isfinite(scores), scores, np.nan)


def best_of(scores: Vector, candidates: Sequence[Candidate]) -> int:
    """Index of the highest score; ties go to the higher mean log-probability, then to the lower index."""
    tied = np.flatnonzero(scores == np.nanmax(scores)).tolist()
    return int(max(tied, key=lambda index: (candidates[index].mean_logprob, -index)))


def _start(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    task = asyncio.ensure_future(work)
    task.add_done_callback(
        lambda done: done.cancelled() or done.exception()
    )  # it may have no waiter left: asyncio must not report its error
    return task


async def within(seconds: float | None, work: Coroutine[Any, Any, T]) -> T:
    """The result of the work, or TimeoutError. Work that ignores its cancellation is left running."""
    task = _start(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            raise TimeoutError
        if task.cancelled():  # by itself: it was not cancelled from here
            raise ArmFailed("cancelled its own work")
        return task.result()
    finally:
        task.cancel()


def reason(error: Exception) -> str:
    """The reason why an arm failed, in one line."""
    if isinstance(error, LaserveError):
        return error.message
    return f"{type(error).__name__}: {error}"
