"""Metrics of feedback and rewards."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from laserve.metrics.scales import UNIT

_DELAY = (1, 10, 60, 600, 3600, 6 * 3600, 86400, 7 * 86400)
_POLICY_AND_TASK = (
    "Label `policy`: the policy that drew the decision's arm, `pinned` where the client named it. Label "
    "`task`: the request's task if it is in context.tasks, `other` if it is not, `none` without one."
)


class FeedbackMetrics:
    """Feedback by what became of it, and the rewards in it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.feedback = Counter(
            "laserve_feedback",
            "Feedback that reached a decision, and default rewards. Label `kind`: `reward`, `thumb`, "
            "`chosen_index`, `candidate_rewards` or `references`, or `default` for a default reward that "
            "was learned because no feedback came in time. Label `outcome`: `recorded`; `late` when it was "
            "recorded after the decision's window; `duplicate` when the same feedback was recorded before; "
            "`conflict` when an earlier feedback has the same identity and another body, and this one was "
            "refused.",
            ["kind", "outcome"],
            registry=registry,
        )
        self.feedback_unlearned = Counter(
            "laserve_feedback_unlearned",
            "Feedback that taught the policy nothing, duplicates and conflicts left out. Label `reason`: "
            "`kind` when it was recorded and the log learns from another kind of feedback; `pinned` when it "
            "was recorded and the client had named the decision's arm; `ensemble` when it was recorded and "
            "a policy that uses all arms had decided; `no_arm` when it was recorded and no arm had scored "
            "the decision; `damaged` when it was refused because the stored decision is damaged.",
            ["reason"],
            registry=registry,
        )
        for reason in ("kind", "pinned", "ensemble", "no_arm", "damaged"):
            self.feedback_unlearned.labels(reason)
        self.answered = Counter(
            "laserve_answered",
            "Decisions that got their first feedback, of any kind and from anyone; later feedback on the "
            "same decision and default rewards are not counted. Divided by laserve_decisions_total it is "
            "the share of decisions that get feedback. Label `arm`: the arm that was drawn or pinned, as in "
            f"laserve_decisions_total. {_POLICY_AND_TASK}",
            ["arm", "policy", "task"],
            registry=registry,
        )
        self.reward = Histogram(
            "laserve_reward",
            "Reward, from 0 to 1 before any scaling, of the returned answer by each recorded feedback, "
            "corrections and feedback that did not teach included; default rewards and decisions that no "
            "arm scored are left out. Label `arm`: the arm whose scores chose the answer. "
            f"{_POLICY_AND_TASK}",
            ["arm", "policy", "task"],
            buckets=UNIT,
            registry=registry,
        )
        self.feedback_delay = Histogram(
            "laserve_feedback_delay_seconds",
            "Seconds from a decision to each feedback recorded on it; default rewards are left out.",
            buckets=_DELAY,
            registry=registry,
        )
        self.feedback_pending = Gauge(
            "laserve_feedback_pending",
            "Decisions whose default reward is due now or will be, since no feedback has taught yet; "
            "counted once a second, and 0 where feedback.default_reward is not set.",
            registry=registry,
        )
