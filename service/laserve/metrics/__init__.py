"""Every Prometheus metric of laserve, declared once, in the order of a request's stages.

The values of labels are bounded: there are at most `scoring.max_arms` arms, policies, tasks and callers come
from the configuration, and endpoints, kinds, reasons and outcomes are constants of the code.
"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest

from laserve.metrics.decisions import DecisionMetrics
from laserve.metrics.feedback import FeedbackMetrics
from laserve.metrics.health import HealthMetrics
from laserve.metrics.requests import RequestMetrics
from laserve.metrics.reward_models import RewardModelMetrics

__all__ = ["Metrics"]


class Metrics(RequestMetrics, DecisionMetrics, RewardModelMetrics, FeedbackMetrics, HealthMetrics):
    """The metrics of one service, on a registry of its own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        RequestMetrics.__init__(self, registry)
        DecisionMetrics.__init__(self, registry)
        RewardModelMetrics.__init__(self, registry)
        FeedbackMetrics.__init__(self, registry)
        HealthMetrics.__init__(self, registry)

    def begin_decisions(self, arm: str, *, policy: str, tasks: Iterable[str]) -> None:
        """Show what an arm's decisions count at 0, unless they have counted; a rise from nothing is no rise.

        Args:
            arm: label of the decisions: an arm's name, or that of an ensemble.
            tasks: values of the label `task`.
        """
        for task in tasks:
            for family in (self.decisions, self.answered, self.reward):
                family.labels(arm, policy, task)

    def begin_arm(self, arm: str) -> None:
        """Show what an arm's scoring counts at 0, unless it has counted."""
        for counter in (self.rm_failed, self.rm_non_finite, self.rm_truncated, self.rm_fallback):
            counter.labels(arm)

    def forget_arm(self, arm: str) -> None:
        """Remove the gauges of an arm's present that its absence makes untrue."""
        for gauge in (self.arm_mean, self.arm_width):
            gauge.remove(arm)
        self.forget_moments(arm)

    def forget_moments(self, arm: str) -> None:
        """Remove the gauges of the moments of an arm's scores."""
        for gauge in (self.rm_score_mean, self.rm_score_sd):
            gauge.remove(arm)

    def render(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)
