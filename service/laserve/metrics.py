"""Every Prometheus metric of laserve, declared once.

The values of labels are bounded: there are at most `scoring.max_arms` arms, policies and tasks come from the
configuration, and kinds and outcomes are constants of the code.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100)
_UNIT = tuple(step / 10 for step in range(1, 11))
_DELAY = (1, 10, 60, 600, 3600, 6 * 3600, 86400, 7 * 86400)


class Metrics:
    """The metrics of one service, on a registry of its own, declared in the order of a request's stages."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self._declare_requests(registry)
        self._declare_generation(registry)
        self._declare_decisions(registry)
        self._declare_learning(registry)
        self._declare_reward_models(registry)
        self._declare_feedback(registry)
        self._declare_log(registry)
        self._declare_health(registry)

    def _declare_requests(self, registry: CollectorRegistry) -> None:
        """Requests, and the duration of a decision."""
        self.requests = Counter(
            "laserve_requests", "HTTP requests answered.", ["endpoint", "status"], registry=registry
        )
        self.stage_seconds = Histogram(
            "laserve_stage_seconds",
            "Seconds that a decision spent in a stage; stage `total` is the whole decision.",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge("laserve_requests_in_flight", "Decisions under way.", registry=registry)
        self.rejected = Counter(
            "laserve_rejected", "Valid requests that were refused, by reason.", ["reason"], registry=registry
        )

    def _declare_generation(self, registry: CollectorRegistry) -> None:
        """Candidates."""
        self.candidates = Counter(
            "laserve_candidates", "Candidates sampled.", ["finish_reason"], registry=registry
        )
        self.tokens = Counter(
            "laserve_tokens", "Tokens read (`prompt`) or sampled (`generated`).", ["kind"], registry=registry
        )

    def _declare_decisions(self, registry: CollectorRegistry) -> None:
        """The policy's choices."""
        self.decisions = Counter(
            "laserve_decisions",
            "Decisions, by the arm drawn.",
            ["arm", "policy", "task"],
            registry=registry,
        )
        self.explored = Counter(
            "laserve_explored", "Decisions whose drawn arm was not the most likely one.", registry=registry
        )
        self.preferred = Counter(
            "laserve_preferred",
            "Decisions for which the policy in mode `observe` would have drawn the arm.",
            ["arm"],
            registry=registry,
        )
        self.propensity = Histogram(
            "laserve_propensity",
            "Probability with which the arm was drawn.",
            buckets=_UNIT,
            registry=registry,
        )
        self.degraded = Counter(
            "laserve_degraded",
            "Shortfalls of decisions, by reason, as in the answer's `degraded`.",
            ["reason"],
            registry=registry,
        )
        self.truncated = Counter(
            "laserve_truncated",
            "Decisions whose documents were cut to fit the generator or the arm that scored.",
            registry=registry,
        )

    def _declare_learning(self, registry: CollectorRegistry) -> None:
        """The policy's estimates of the arms."""
        self.arm_mean = Gauge(
            "laserve_arm_mean",
            "Reward predicted for the arm at the latest decision.",
            ["arm"],
            registry=registry,
        )
        self.arm_width = Gauge(
            "laserve_arm_width",
            "Uncertainty of the reward predicted for the arm at the latest decision, sqrt(x' A^-1 x).",
            ["arm"],
            registry=registry,
        )
        self.arm_pulls = Gauge(
            "laserve_arm_pulls", "Learned decisions whose answer the arm chose.", ["arm"], registry=registry
        )
        self.model_regret = Histogram(
            "laserve_model_regret",
            "Highest reward predicted for any arm minus the reward predicted for the arm drawn.",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
            registry=registry,
        )

    def _declare_reward_models(self, registry: CollectorRegistry) -> None:
        """Scores of the arms."""
        self.rm_seconds = Histogram(
            "laserve_rm_seconds",
            "Seconds from the last candidate until an arm had scored the request.",
            ["arm"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.rm_failed = Counter(
            "laserve_rm_failed", "Requests that an arm could not score.", ["arm"], registry=registry
        )
        self.rm_non_finite = Counter(
            "laserve_rm_non_finite",
            "Candidates dropped because the arm gave them no finite score.",
            ["arm"],
            registry=registry,
        )
        self.rm_circuit = Gauge(
            "laserve_rm_circuit",
            "1 for the current state of an arm's circuit breaker: `closed`, `open` or `half-open`.",
            ["arm", "state"],
            registry=registry,
        )
        self.rm_truncated = Counter(
            "laserve_rm_truncated",
            "Requests whose documents were cut to fit the arm's reward model.",
            ["arm"],
            registry=registry,
        )
        self.rm_overlap = Gauge(
            "laserve_rm_overlap",
            "1 if an arm reads the prompt while candidates are generated, 0 if it waits for the candidates.",
            ["arm"],
            registry=registry,
        )
        self.shadow = Counter(
            "laserve_shadow",
            "Requests selected for scoring by all arms: `scored`, `failed` in part, or `dropped` under load.",
            ["outcome"],
            registry=registry,
        )
        self.rm_shadow = Counter(
            "laserve_rm_shadow",
            "Shadow-scored requests, by arm and by whether the arm would have returned the returned text.",
            ["arm", "agrees"],
            registry=registry,
        )
        self.arms = Gauge("laserve_arms", "Arms by state.", ["state"], registry=registry)
        self.rm_fallback = Counter(
            "laserve_rm_fallback",
            "Decisions whose drawn arm (`arm`) was replaced by another arm that scored.",
            ["arm"],
            registry=registry,
        )
        self.rm_margin = Histogram(
            "laserve_rm_margin",
            "Best score minus second best score of the arm that scored, in the unit of its scores.",
            ["arm"],
            buckets=(0.001, 0.01, 0.1, 0.25, 0.5, 1, 2, 5, 10),
            registry=registry,
        )

    def _declare_feedback(self, registry: CollectorRegistry) -> None:
        """Feedback and rewards."""
        self.feedback = Counter(
            "laserve_feedback",
            "Feedback by kind and outcome.",
            ["kind", "outcome"],
            registry=registry,
        )
        self.reward = Histogram(
            "laserve_reward", "Rewards of returned answers.", ["arm"], buckets=_UNIT, registry=registry
        )
        self.feedback_delay = Histogram(
            "laserve_feedback_delay_seconds",
            "Seconds from decision to feedback.",
            buckets=_DELAY,
            registry=registry,
        )
        self.feedback_pending = Gauge(
            "laserve_feedback_pending", "Decisions whose default reward is still due.", registry=registry
        )

    def _declare_log(self, registry: CollectorRegistry) -> None:
        """The event log."""
        self.events_position = Gauge(
            "laserve_events_position", "Position of the last event in the event log.", registry=registry
        )
        self.changes = Gauge(
            "laserve_changes",
            "Changes in the event log: of the `generator`, its `template`, or the reward model of an `arm`.",
            ["what"],
            registry=registry,
        )
        self.snapshot_position = Gauge(
            "laserve_snapshot_position",
            "Position in the event log of the newest snapshot.",
            registry=registry,
        )

    def _declare_health(self, registry: CollectorRegistry) -> None:
        """Engines, store and service."""
        self.engine_restarts = Counter(
            "laserve_engine_restarts",
            "Attempts to restart a dead engine: `ready` or `failed`.",
            ["engine", "outcome"],
            registry=registry,
        )
        self.store_refusing = Gauge(
            "laserve_store_refusing", "1 while the database refuses writes.", registry=registry
        )
        self.ready = Gauge("laserve_ready", "1 while requests are served.", registry=registry)

    def render(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)
