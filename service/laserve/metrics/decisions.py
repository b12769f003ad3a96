"""Metrics of the policy's choices and of its estimates of the arms."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from laserve.metrics.scales import UNIT

_ARM = "Label `arm`: the arm's name."


class DecisionMetrics:
    """Decisions, and what the policy predicts and has learned."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.decisions = Counter(
            "laserve_decisions",
            "Decisions stored, one for each answered request. Label `arm`: the arm that the policy drew or "
            "the client pinned, or the name of the ensemble policy. Label `policy`: the policy that drew "
            "it, `observe:` before the name of a policy that is observed, `pinned` where the client named "
            "the arm. Label `task`: the request's task if it is in context.tasks, `other` if it is not, "
            "`none` without one.",
            ["arm", "policy", "task"],
            registry=registry,
        )
        self.explored = Counter(
            "laserve_explored",
            "Decisions whose drawn arm was not the most probable one: another arm had a higher probability.",
            registry=registry,
        )
        self.preferred = Counter(
            "laserve_preferred",
            "Decisions in policy.mode `observe`, by what the observed policy would have drawn. Label `arm`: "
            "the arm that it would have drawn.",
            ["arm"],
            registry=registry,
        )
        self.propensity = Histogram(
            "laserve_propensity",
            "Probability, from 0 to 1, with which the policy drew the decision's arm; pinned arms and "
            "ensembles have none and are left out.",
            buckets=UNIT,
            registry=registry,
        )
        self.model_regret = Histogram(
            "laserve_model_regret",
            "Highest reward predicted for any arm minus the reward predicted for the arm that the policy "
            "drew, in units of reward, one observation a decision; pinned arms and ensembles are left out.",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
            registry=registry,
        )
        self.degraded = Counter(
            "laserve_degraded",
            "Shortfalls of decisions, as in the field `degraded` of the answer; one decision may have "
            "several. Label `reason`: `arm_failed` for each arm that could not score, `unscored` when every "
            "arm failed and the mean log-probability chose, `non_finite` when candidates without a finite "
            "score were dropped, `timeout` when candidates did not finish in time.",
            ["reason"],
            registry=registry,
        )
        for reason in ("arm_failed", "unscored", "non_finite", "timeout"):
            self.degraded.labels(reason)
        self.truncated = Counter(
            "laserve_truncated",
            "Decisions whose documents were cut to fit the generator, or the arm whose scores chose the "
            "answer.",
            registry=registry,
        )
        self.arm_mean = Gauge(
            "laserve_arm_mean",
            "Reward, usually from 0 to 1 and scaled where policy.reward_scaling is set, that the policy's "
            "model predicted for an arm at the latest decision; absent for an arm that could not be drawn "
            "then or is not loaded and enabled now. "
            f"{_ARM}",
            ["arm"],
            registry=registry,
        )
        self.arm_width = Gauge(
            "laserve_arm_width",
            "Uncertainty of the reward predicted for an arm at the latest decision, sqrt(x' A^-1 x), in "
            "units of reward before the policy's factor alpha; absent for an arm that could not be drawn "
            f"then or is not loaded and enabled now. {_ARM}",
            ["arm"],
            registry=registry,
        )
        self.arm_pulls = Gauge(
            "laserve_arm_pulls",
            "Decisions in the event log that have taught and whose answer the arm chose; corrections count "
            f"once, and every arm of the log is listed, retired ones too. {_ARM}",
            ["arm"],
            registry=registry,
        )
