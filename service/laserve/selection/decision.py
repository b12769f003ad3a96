"""From scores to the decision: which candidate goes back, and everything that explains it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from laserve.errors import NoCandidate
from laserve.eventlog.learner import Draw
from laserve.generation.base import Rendered
from laserve.metrics import Metrics
from laserve.selection.verdict import Verdict
from laserve.types import Candidate, Decision, Request, Vector, task_label


@dataclass(frozen=True, kw_only=True)
class Shortfall:
    """Why a decision is less than what the request wants."""

    #: What the metrics count it as: ``arm_failed``, ``unscored``, ``non_finite`` or ``timeout``.
    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


def in_order(finished: Sequence[Candidate], request: Request) -> tuple[Candidate, ...]:
    """Candidates by index; where some are missing, those that are there are numbered anew."""
    if not finished:
        raise out_of_time(request)
    ordered = sorted(finished, key=lambda candidate: candidate.index)
    return tuple(replace(candidate, index=index) for index, candidate in enumerate(ordered))


def out_of_time(request: Request) -> NoCandidate:
    """The error of a request of which nothing has finished in time."""
    return NoCandidate(f"timeout_s: no candidate finished within {request.timeout_s:g} s", param="timeout_s")


def shortfalls_of(
    request: Request, verdict: Verdict, candidates: Sequence[Candidate]
) -> tuple[Shortfall, ...]:
    """What falls short of a request, once its candidates are scored."""
    found = [Shortfall(reason="arm_failed", detail=f"{name}: {why}") for name, why in verdict.failed.items()]
    if verdict.scored_by is None:
        found.append(Shortfall(reason="unscored", detail="every arm failed; best mean log-probability"))
    elif dropped := int(np.isnan(verdict.by_arm[verdict.scored_by].scores).sum()):
        detail = f"{verdict.scored_by}: {dropped} of {len(candidates)} candidates"
        found.append(Shortfall(reason="non_finite", detail=detail))
    if len(candidates) < request.sampling.n:
        detail = f"{len(candidates)} of {request.sampling.n} candidates finished in time"
        found.append(Shortfall(reason="timeout", detail=detail))
    return tuple(found)


def decide(
    *,
    decision_id: str,
    request: Request,
    rendered: Rendered,
    x: Vector,
    draw: Draw,
    verdict: Verdict,
    candidates: tuple[Candidate, ...],
    shortfalls: Sequence[Shortfall],
) -> Decision:
    first_with: dict[str, int] = {}
    for candidate in candidates:
        first_with.setdefault(candidate.text, candidate.index)
    winner = verdict.by_arm[verdict.scored_by] if verdict.scored_by else None
    index = winner.best if winner else max(candidates, key=lambda c: (c.mean_logprob, -c.index)).index
    return Decision(
        id=decision_id,
        created_at=time.time(),
        key="",
        policy="",
        arm=draw.arm,
        propensity=draw.propensity,
        scored_by=verdict.scored_by,
        why=draw.why,
        log_position=draw.log_position,
        preferred=draw.preferred,
        x=x,
        task=request.task,
        sampling=rendered.sampling,
        index=index,
        score=None if winner is None else float(winner.scores[index]),
        choices={arm: scored.best for arm, scored in verdict.by_arm.items()},
        scores={arm: scored.values() for arm, scored in verdict.by_arm.items()},
        same_text=tuple(first_with[candidate.text] for candidate in candidates),
        prompt_tokens=rendered.tokens,
        truncated=rendered.truncated or (winner is not None and winner.truncated),
        degraded=tuple(map(str, shortfalls)),
        timings={},
        candidates=candidates,
        metadata=request.metadata,
        request=_texts(request),
    )


def _texts(request: Request) -> dict[str, Any]:
    """What the client asked, as JSON values."""
    if request.question is not None:
        documents = [{"title": document.title, "text": document.text} for document in request.documents]
        return {"question": request.question, "documents": documents}
    if request.messages:
        return {"messages": [{"role": m.role, "content": m.content} for m in request.messages]}
    return {"prompt": request.prompt}


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


class Observer:
    """Counts decisions.

    Args:
        tasks: tasks with a label of their own; others count as ``other``.
    """

    def __init__(self, metrics: Metrics, *, tasks: Sequence[str]) -> None:
        self._metrics = metrics
        self._tasks = tuple(tasks)

    def decided(
        self, decision: Decision, draw: Draw, verdict: Verdict, shortfalls: Sequence[Shortfall]
    ) -> None:
        metrics = self._metrics
        task = task_label(decision.task, self._tasks)
        metrics.decisions.labels(decision.arm, decision.policy, task).inc()
        for stage, seconds in decision.timings.items():
            metrics.stage_seconds.labels(stage).observe(seconds)
        for candidate in decision.candidates:
            metrics.candidates.labels(candidate.finish_reason).inc()
        metrics.tokens.labels("prompt").inc(decision.prompt_tokens)
        metrics.tokens.labels("generated").inc(sum(candidate.tokens for candidate in decision.candidates))
        for why in draw.why:
            metrics.arm_mean.labels(why.arm).set(why.mean)
            metrics.arm_width.labels(why.arm).set(why.width)
        if decision.preferred is not None:
            metrics.preferred.labels(decision.preferred).inc()
        if decision.propensity is not None:
            metrics.propensity.observe(decision.propensity)
            metrics.model_regret.observe(draw.regret)
            metrics.explored.inc(draw.explored)
        if decision.scored_by not in (None, decision.arm):
            metrics.rm_fallback.labels(decision.arm).inc()
        if decision.scored_by and (margin := verdict.by_arm[decision.scored_by].margin) is not None:
            metrics.rm_margin.labels(decision.scored_by).observe(margin)
        metrics.truncated.inc(decision.truncated)
        for shortfall in shortfalls:
            metrics.degraded.labels(shortfall.reason).inc()
