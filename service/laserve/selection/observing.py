"""What the metrics say of a decision."""

from collections.abc import Sequence

from laserve.eventlog.learner import Draw
from laserve.metrics import Metrics
from laserve.selection.deciding import Shortfall, Verdict
from laserve.types import Decision, task_label


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
