"""The loaded reward models, and how one of them scores a request."""

import asyncio
import logging
import math
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from laserve.errors import ArmFailed, InvalidRequest, LaserveError
from laserve.metrics import Metrics
from laserve.scoring.base import RewardModel
from laserve.types import Candidate, Document, Request, Sampling, Vector

logger = logging.getLogger(__name__)

#: Seconds of the self-test at load; a model's first request may compile or warm up.
SELF_TEST_S = 60.0


@dataclass(kw_only=True)
class Arm:
    """One reward model and what is known of it."""

    name: str
    model: RewardModel
    #: Seconds it may take for one request.
    timeout_s: float
    state: Literal["loading", "ready", "failed"] = "loading"
    #: Why it failed to load.
    error: str | None = None


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

    def __iter__(self) -> Iterator[Arm]:
        return iter(self._arms.values())

    @property
    def ready(self) -> tuple[str, ...]:
        """Names of the arms that can be chosen now."""
        return tuple(arm.name for arm in self._arms.values() if arm.state == "ready")

    @property
    def free(self) -> tuple[str, ...]:
        """Names of the ready arms that score every request."""
        return tuple(name for name in self.ready if self._arms[name].model.free)

    def check(self, name: str) -> None:
        """Raise InvalidRequest when there is no such arm that can be chosen."""
        if name not in self.ready:
            raise InvalidRequest(f"arm: no arm {name!r}; ready are: {', '.join(self.ready)}", param="arm")

    async def load(self) -> None:
        """Load all, one after another; an arm that fails is reported by name and left out."""
        for arm in self._arms.values():
            try:
                await arm.model.load()
                async with asyncio.timeout(SELF_TEST_S):
                    await _self_test(arm.model)
            except LaserveError as error:
                self._leave_out(arm, error.message)
            except TimeoutError:
                self._leave_out(arm, f"the self-test took longer than {SELF_TEST_S:g} s")
            except Exception as error:  # noqa: BLE001 - a scorer may raise anything: it costs the arm alone
                self._leave_out(arm, f"{type(error).__name__}: {error}")
            else:
                arm.state = "ready"

    @staticmethod
    def _leave_out(arm: Arm, why: str) -> None:
        arm.state, arm.error = "failed", why
        logger.error("arm %s failed to load and is left out: %s", arm.name, why)

    async def score(self, name: str, request: Request, candidates: Sequence[Candidate]) -> Scored:
        """Score all candidates by one arm; equal texts are scored once.

        Raises:
            ArmFailed: the arm raised, took longer than it may, or gave no finite score.
        """
        arm = self._arms[name]
        started = time.perf_counter()
        try:
            async with asyncio.timeout(arm.timeout_s):
                scores = await _score_distinct(arm.model, request, candidates)
            return Scored(scores=scores, best=_best(scores, candidates))
        except TimeoutError:
            self._metrics.rm_failed.labels(name).inc()
            raise ArmFailed(f"no scores within {arm.timeout_s:g} s") from None
        except ArmFailed:
            self._metrics.rm_failed.labels(name).inc()
            raise
        except Exception as error:  # a scorer may raise anything: it costs the arm, not the request
            self._metrics.rm_failed.labels(name).inc()
            # Its message may quote the request, which must go neither into the log nor past retention.
            where = "".join(traceback.format_tb(error.__traceback__))
            logger.error("arm %s raised %s:\n%s", name, type(error).__name__, where)  # noqa: TRY400
            raise ArmFailed(f"raised {type(error).__name__}") from error
        finally:
            self._metrics.rm_seconds.labels(name).observe(time.perf_counter() - started)

    async def close(self) -> None:
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


async def _self_test(model: RewardModel) -> None:
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
    scores = await _score_distinct(model, request, candidates)
    if np.isnan(scores).any():
        raise ArmFailed("the self-test gave a score that is not finite")
