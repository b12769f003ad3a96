"""The loaded reward models, and how one of them scores a request."""

import asyncio
import logging
import math
import time
import traceback
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from laserve.errors import ArmFailed, InvalidRequest, LaserveError
from laserve.metrics import Metrics
from laserve.scoring.base import RewardModel
from laserve.selection.circuit import Circuit
from laserve.types import Candidate, Document, Request, Sampling, Vector

T = TypeVar("T")

logger = logging.getLogger(__name__)

#: Seconds of the self-test at load; a model's first request may compile or warm up.
SELF_TEST_S = 60.0

ArmState = Literal["loading", "ready", "failed", "open", "half-open"]


@dataclass(kw_only=True)
class Arm:
    """One reward model and what is known of it."""

    name: str
    model: RewardModel
    #: Seconds it may take for one request.
    timeout_s: float
    circuit: Circuit
    loading: Literal["loading", "ready", "failed"] = "loading"
    #: Why it failed to load, or last failed to score.
    error: str | None = None

    @property
    def state(self) -> ArmState:
        """How far it has loaded; once it has, ``open`` or ``half-open`` while its circuit is."""
        if self.loading == "ready" and self.circuit.state != "closed":
            return self.circuit.state
        return self.loading


@dataclass(frozen=True, kw_only=True)
class Scored:
    """An arm's verdict on one request."""

    #: Shape (n,), float64; NaN where the arm gave no finite score.
    scores: Vector
    #: Index of the candidate it would return.
    best: int

    def values(self) -> tuple[float | None, ...]:
        return tuple(None if math.isnan(score) else float(score) for score in self.scores)

    @property
    def margin(self) -> float | None:
        """Best score minus the second best; None with fewer than two."""
        finite = np.sort(self.scores[np.isfinite(self.scores)])
        return float(finite[-1] - finite[-2]) if len(finite) > 1 else None


class Arms:
    """The arms by name, in the order of the configuration."""

    def __init__(self, arms: Iterable[Arm], *, metrics: Metrics) -> None:
        self._arms = {arm.name: arm for arm in arms}
        self._metrics = metrics
        self._probes: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[Arm]:
        return iter(self._arms.values())

    @property
    def ready(self) -> tuple[str, ...]:
        """Names of the arms that have loaded."""
        return tuple(arm.name for arm in self._arms.values() if arm.loading == "ready")

    @property
    def eligible(self) -> tuple[str, ...]:
        """Names of the arms that a policy may draw now; all that have loaded, when no circuit admits any."""
        admitted = tuple(name for name in self.ready if self._arms[name].circuit.admits)
        return admitted or self.ready

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the arms that score every request."""
        arms = (self._arms[name] for name in self.ready)
        return tuple(arm.name for arm in arms if arm.model.free and arm.circuit.admits)

    def check(self, name: str) -> None:
        """Raise InvalidRequest when no such arm has loaded."""
        if name not in self.ready:
            raise InvalidRequest(f"arm: no arm {name!r}; ready are: {', '.join(self.ready)}", param="arm")

    async def load(self) -> None:
        """Load all, one after another; an arm that fails is reported by name and left out."""
        for arm in self._arms.values():
            try:
                await _within(None, arm.model.load())
                await _self_test(arm.model, SELF_TEST_S)
            except Exception as error:  # noqa: BLE001 - a scorer may raise anything: it costs the arm alone
                arm.loading, arm.error = "failed", _reason(error)
                logger.error("arm %s failed to load and is left out: %s", arm.name, arm.error)  # noqa: TRY400
            else:
                arm.loading = "ready"

    async def score(self, name: str, request: Request, candidates: Sequence[Candidate]) -> Scored:
        """Score all candidates by one arm; equal texts are scored once.

        Raises:
            ArmFailed: the arm raised, took longer than it may, gave no finite score, or its circuit is open.
        """
        arm = self._arms[name]
        if not arm.circuit.admits:
            raise ArmFailed(f"its circuit is {arm.circuit.state}")
        started = time.perf_counter()
        begun = arm.circuit.begin()
        try:
            scores = await _within(arm.timeout_s, _score_distinct(arm.model, request, candidates))
        except asyncio.CancelledError:
            arm.circuit.gave_up(begun)
            raise
        except Exception as error:  # a scorer may raise anything: it costs the arm, not the request
            self._failed(arm, error, begun)
            raise ArmFailed(arm.error or "") from error
        finally:
            self._metrics.rm_seconds.labels(name).observe(time.perf_counter() - started)
        if arm.circuit.succeeded(begun):
            arm.error = None
        self._metrics.rm_non_finite.labels(name).inc(int(np.isnan(scores).sum()))
        return Scored(scores=scores, best=_best(scores, candidates))

    def _failed(self, arm: Arm, error: Exception, begun: int) -> None:
        self._metrics.rm_failed.labels(arm.name).inc()
        arm.error = (
            f"no scores within {arm.timeout_s:g} s" if isinstance(error, TimeoutError) else _reason(error)
        )
        if not isinstance(error, LaserveError | TimeoutError):
            # Its message may quote the request, which must go neither into the log nor past retention.
            where = "".join(traceback.format_tb(error.__traceback__))
            logger.error("arm %s raised %s:\n%s", arm.name, type(error).__name__, where)
            arm.error = f"raised {type(error).__name__}"
        if arm.circuit.failed(begun):
            logger.error("arm %s: circuit open for %g s: %s", arm.name, arm.circuit.open_s, arm.error)
            probe = asyncio.create_task(self._probe(arm), name=f"probe-{arm.name}")
            self._probes.add(probe)
            probe.add_done_callback(self._probes.discard)

    async def _probe(self, arm: Arm) -> None:
        """Let an arm whose circuit is open test itself until it passes."""
        while True:
            await asyncio.sleep(arm.circuit.open_s)
            try:
                await _self_test(arm.model, arm.timeout_s)
            except Exception as error:  # noqa: BLE001 - a scorer may raise anything
                arm.circuit.prolong()
                why = _reason(error)
                logger.warning("arm %s: circuit open for %g s more: %s", arm.name, arm.circuit.open_s, why)
            else:
                arm.circuit.passed()
                logger.info("arm %s: circuit half open, its test has passed", arm.name)
                return

    async def close(self) -> None:
        for probe in self._probes:
            probe.cancel()
        await asyncio.gather(*self._probes, return_exceptions=True)
        for arm in self._arms.values():
            await arm.model.close()


async def _score_distinct(model: RewardModel, request: Request, candidates: Sequence[Candidate]) -> Vector:
    if model.needs_all:
        asked = list(candidates)
    else:
        asked = list({candidate.text: candidate for candidate in reversed(candidates)}.values())[::-1]
    scores = np.asarray(await model.score(request, asked), dtype=np.float64)
    if scores.shape != (len(asked),):
        raise ArmFailed(f"gave scores of shape {scores.shape} for {len(asked)} candidates")
    scores = np.where(np.isfinite(scores), scores, np.nan)
    if np.isnan(scores).all():
        raise ArmFailed("gave no finite score")
    if model.needs_all:
        return scores
    by_text = {candidate.text: score for candidate, score in zip(asked, scores, strict=True)}
    return np.array([by_text[candidate.text] for candidate in candidates])


def _best(scores: Vector, candidates: Sequence[Candidate]) -> int:
    """Highest score; ties go to the higher mean log-probability, then to the lower index."""
    tied = np.flatnonzero(scores == np.nanmax(scores)).tolist()
    return int(max(tied, key=lambda place: (candidates[place].mean_logprob, -place)))


async def _within(seconds: float | None, work: Coroutine[Any, Any, T]) -> T:
    """What comes of it, or TimeoutError. A scorer that does not heed its cancellation is left behind."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(
        lambda done: done.cancelled() or done.exception()
    )  # nobody may wait for it any more
    try:
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            raise TimeoutError
        if task.cancelled():  # by itself: nobody here has given it up
            raise ArmFailed("cancelled its own work")
        return task.result()
    finally:
        task.cancel()


def _reason(error: Exception) -> str:
    if isinstance(error, LaserveError):
        return error.message
    return f"{type(error).__name__}: {error}"


async def _self_test(model: RewardModel, seconds: float) -> None:
    """One known request: the arm must give it finite scores."""
    request = Request(
        question="Who built the harbour clock?",
        documents=(Document(text="Ada Thorn built the harbour clock in 1874."),),
        sampling=Sampling(n=2, temperature=1.0, top_p=1.0, max_tokens=8),
        timeout_s=60.0,
    )
    candidates = [
        Candidate(index=index, text=text, finish_reason="stop", tokens=3, logprob=-1.0 - index)
        for index, text in enumerate(("Ada Thorn", "a boat"))
    ]
    try:
        scores = await _within(seconds, _score_distinct(model, request, candidates))
    except TimeoutError:
        raise ArmFailed(f"the self-test took longer than {seconds:g} s") from None
    if np.isnan(scores).any():
        raise ArmFailed("the self-test gave a score that is not finite")
