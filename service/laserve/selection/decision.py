"""The decision on a request, with the data to explain it, replay it and learn from it; and its metrics."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from laserve.eventlog.learner import Draw
from laserve.generation.base import Rendered
from laserve.metrics import Metrics
from laserve.selection.verdict import Verdict
from laserve.types import PINNED, ArmWhy, Decision, Request, Vector, task_label


@dataclass(frozen=True, kw_only=True)
class Window:
    """The time in which feedback on a decision may arrive, and the default reward after it.

    Args:
        wait_s: seconds from the decision; None for no limit.
        default_reward: reward in [0, 1] that is learned at the end if no feedback has taught; None for none.
    """

    wait_s: float | None = None
    default_reward: float | None = None

    def closes_at(self, created_at: float) -> float | None:
        """Unix seconds after which feedback is late, from those of the decision; None without a limit."""
        return None if self.wait_s is None else created_at + self.wait_s


def decide(
    request: Request,
    *,
    key: str,
    policy: str,
    rendered: Rendered,
    x: Vector,
    draw: Draw,
    verdict: Verdict,
    window: Window,
    shadowed: bool,
    timings: Mapping[str, float],
) -> Decision:
    """The complete decision, except for the time that storing it takes.

    Args:
        key: name of the client's API key.
        policy: name of the policy that drew the arm; unused where the request names an arm.
        shadowed: whether all arms are to score the request, provided that the policy drew an arm.
        timings: seconds by stage so far.
    """
    created_at = time.time()
    winner, index = verdict.winner, verdict.index
    first_with: dict[str, int] = {}
    for candidate in verdict.candidates:
        first_with.setdefault(candidate.text, candidate.index)
    closes_at = window.closes_at(created_at)
    learnable = draw.propensity is not None and winner is not None
    return Decision(
        id=draw.decision_id,
        created_at=created_at,
        key=key,
        policy=PINNED if request.arm else policy,
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
        same_text=tuple(first_with[candidate.text] for candidate in verdict.candidates),
        prompt_tokens=rendered.tokens,
        truncated=rendered.truncated or (winner is not None and winner.truncated),
        degraded=tuple(map(str, verdict.shortfalls)),
        timings=dict(timings),
        candidates=verdict.candidates,
        metadata=request.metadata,
        request=_texts(request),
        closes_at=closes_at,
        default_reward=window.default_reward if learnable and closes_at is not None else None,
        shadowed=shadowed and draw.propensity is not None,
    )


def _texts(request: Request) -> dict[str, Any]:
    """The texts of the client's request, as JSON values."""
    if request.question is not None:
        documents = [{"title": document.title, "text": document.text} for document in request.documents]
        return {"question": request.question, "documents": documents}
    if request.messages:
        return {"messages": [{"role": m.role, "content": m.content} for m in request.messages]}
    return {"prompt": request.prompt}


class Observer:
    """The metrics of decisions.

    Look here for each metric that a decision changes; `arms` and `feedback` count their own metrics.

    Args:
        tasks: declared tasks, each with its own label; all others count as ``other``.
    """

    def __init__(self, metrics: Metrics, *, tasks: Sequence[str]) -> None:
        self._metrics = metrics
        self._tasks = tuple(tasks)
        #: Arms of the latest decision.
        self._predicted: frozenset[str] = frozenset()

    def first_candidate(self, seconds: float) -> None:
        """Count the first finished candidate of a request, so many seconds after generation began."""
        self._metrics.first_candidate_seconds.observe(seconds)

    def decided(self, decision: Decision, draw: Draw, verdict: Verdict) -> None:
        metrics = self._metrics
        task = task_label(decision.task, self._tasks)
        metrics.decisions.labels(decision.arm, decision.policy, task).inc()
        for stage, seconds in decision.timings.items():
            metrics.stage_seconds.labels(stage).observe(seconds)
        for candidate in decision.candidates:
            metrics.candidates.labels(candidate.finish_reason).inc()
        metrics.tokens.labels("prompt").inc(decision.prompt_tokens)
        metrics.tokens.labels("generated").inc(sum(candidate.tokens for candidate in decision.candidates))
        self._publish(draw.why)
        if decision.preferred is not None:
            metrics.preferred.labels(decision.preferred).inc()
        if decision.propensity is not None:
            metrics.propensity.observe(decision.propensity)
            metrics.model_regret.observe(draw.regret)
            metrics.explored.inc(draw.explored)
        if decision.scored_by not in (None, decision.arm):
            metrics.rm_fallback.labels(decision.arm).inc()
        if verdict.winner is not None and (margin := verdict.winner.margin) is not None:
            metrics.rm_margin.labels(verdict.scored_by).observe(margin)
        metrics.truncated.inc(decision.truncated)
        for shortfall in verdict.shortfalls:
            metrics.degraded.labels(shortfall.reason).inc()

    def _publish(self, predictions: Sequence[ArmWhy]) -> None:
        """Set the gauges of the arms' predictions, and remove those of arms that could not be drawn."""
        predicted = frozenset(why.arm for why in predictions)
        for gone in self._predicted - predicted:
            self._metrics.arm_mean.remove(gone)
            self._metrics.arm_width.remove(gone)
        self._predicted = predicted
        for why in predictions:
            self._metrics.arm_mean.labels(why.arm).set(why.mean)
            self._metrics.arm_width.labels(why.arm).set(why.width)
