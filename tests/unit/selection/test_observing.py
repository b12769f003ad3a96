"""What the metrics count of a decision."""

from builders import make_decision
from laserve.eventlog.learner import Draw
from laserve.metrics import Metrics
from laserve.selection.decision import Observer, Shortfall
from laserve.selection.verdict import Verdict


def test_a_shortfall_is_counted_by_its_reason_whatever_its_text_says() -> None:
    metrics = Metrics()
    Observer(metrics, tasks=()).decided(
        make_decision(scored_by=None, propensity=None, degraded=("a text: of any form",)),
        Draw(arm="loglik", propensity=None, why=(), log_position=0),
        Verdict(scored_by=None, by_arm={}, failed={}),
        [
            Shortfall(reason="arm_failed", detail="timeout: no answer"),
            Shortfall(reason="unscored", detail=""),
        ],
    )
    counted = {
        sample.labels["reason"]: sample.value
        for family in metrics.degraded.collect()
        for sample in family.samples
        if sample.name == "laserve_degraded_total"
    }
    assert counted == {"arm_failed": 1, "unscored": 1}
