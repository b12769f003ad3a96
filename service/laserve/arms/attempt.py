"""How one arm scores one request: all candidates at the end, or each as it finishes."""

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
    """An arm's verdict on one request."""

    #: Shape (n,), float64; NaN where the arm gave no finite score.
    scores: Vector
    #: Index of the candidate it would return.
    best: int
    #: Whether documents were cut to fit the arm's model.
    truncated: bool = False

    @classmethod
    def logged(cls, decision: Decision, arm: str) -> "Scored":
        """An arm's verdict as a decision holds it."""
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
    """One attempt of one arm at one request. `close` it, whatever becomes of it.

    Once it has begun, the arm reads the prompt and scores candidates as they are added; otherwise it does all
    of that in `result`. The scores are the same.

    Args:
        on_open: told when the arm's circuit opens.
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
        #: What the circuit gave for this attempt; None before it, and once the circuit knows the end.
        self._begun: int | None = None
        self._reading: Reading | None = None
        self._prefill: asyncio.Task[None] | None = None
        #: Text -> its score, on the way.
        self._early: dict[str, asyncio.Task[Vector]] = {}

    def begin(self) -> None:
        """Read the prompt from now on, where the model can and the circuit lets it."""
        model = self.arm.model
        if model.reads_ahead and not model.needs_all and self.arm.circuit.admits:
            self.overlapping = True
            self._begun = self.arm.circuit.begin()
            self._prefill = _start(self._read_ahead())

    def add(self, candidate: Candidate) -> None:
        """A candidate has finished."""
        if self.overlapping and candidate.text not in self._early:
            self._early[candidate.text] = _start(self._ask(candidate))

    async def result(self, candidates: Sequence[Candidate]) -> Scored:
        """Scores of all candidates, those that were added among them; equal texts are scored once.

        Raises:
            ArmFailed: the arm raised, took longer than it may from now on, gave no finite score, or its
                circuit admits no request.
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
        """Give up what is still under way, and free the prompt."""
        for task in (self._prefill, *self._early.values()):
            if task is not None:
                task.cancel()
        reading, self._reading = self._reading, None
        if reading is not None:
            try:
                reading.close()
            except Exception as error:  # noqa: BLE001 - a scorer may raise anything: the request goes on
                # Without its message, which may quote the request.
                name = type(error).__name__
                logger.warning("arm %s: a reading could not be closed: it raised %s", self.arm.name, name)
        if self._begun is not None:
            self.arm.circuit.gave_up(self._begun)
            self._begun = None

    def _open_reading(self) -> Reading:
        """The reading of this attempt; called where a failure is the arm's."""
        if self._reading is None:
            self._reading = self.arm.model.open(self._request)
        return self._reading

    async def _read_ahead(self) -> None:
        await self._open_reading().prefill()

    async def _ask(self, candidate: Candidate) -> Vector:
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
        return Scored(scores=scores, best=best_of(scores, candidates), truncated=truncated)

    def _failed(self, error: Exception) -> str:
        """Count it, and say why."""
        arm, begun, self._begun = self.arm, self._begun, None
        self._metrics.rm_failed.labels(arm.name).inc()
        arm.error = (
            f"no scores within {arm.timeout_s:g} s" if isinstance(error, TimeoutError) else reason(error)
        )
        if not isinstance(error, LaserveError | TimeoutError):
            # Its message may quote the request, which must go neither into the log nor past retention.
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
        needs_all: as the reading's model says; without it, equal texts are scored once.

    Raises:
        ArmFailed: the scores do not fit the candidates, or none is finite.
    """
    if needs_all:
        return some_finite(await _scores_of(reading, candidates))
    asked = list({candidate.text: candidate for candidate in reversed(candidates)}.values())[::-1]
    scores = some_finite(await _scores_of(reading, asked))
    by_text = {candidate.text: score for candidate, score in zip(asked, scores, strict=True)}
    return np.array([by_text[candidate.text] for candidate in candidates])


def some_finite(scores: Vector) -> Vector:
    """The same scores. Raises ArmFailed when none is finite."""
    if np.isnan(scores).all():
        raise ArmFailed("gave no finite score")
    return scores


async def _scores_of(reading: Reading, candidates: Sequence[Candidate]) -> Vector:
    scores = np.asarray(await reading.score(candidates), dtype=np.float64)
    if scores.shape != (len(candidates),):
        raise ArmFailed(f"gave scores of shape {scores.shape} for {len(candidates)} candidates")
    return np.where(np.isfinite(scores), scores, np.nan)


def best_of(scores: Vector, candidates: Sequence[Candidate]) -> int:
    """Highest score; ties go to the higher mean log-probability, then to the lower index."""
    tied = np.flatnonzero(scores == np.nanmax(scores)).tolist()
    return int(max(tied, key=lambda place: (candidates[place].mean_logprob, -place)))


def _start(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    task = asyncio.ensure_future(work)
    task.add_done_callback(
        lambda done: done.cancelled() or done.exception()
    )  # nobody may wait for it any more
    return task


async def within(seconds: float | None, work: Coroutine[Any, Any, T]) -> T:
    """What comes of it, or TimeoutError. A scorer that does not heed its cancellation is left behind."""
    task = _start(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            raise TimeoutError
        if task.cancelled():  # by itself: nobody here has given it up
            raise ArmFailed("cancelled its own work")
        return task.result()
    finally:
        task.cancel()


def reason(error: Exception) -> str:
    """Why an arm failed, in a line."""
    if isinstance(error, LaserveError):
        return error.message
    return f"{type(error).__name__}: {error}"
