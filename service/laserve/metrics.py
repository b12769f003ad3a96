"""Every Prometheus metric of laserve, declared once.

Labels are bounded: arms are at most `scoring.max_arms`, policies and tasks come from the configuration, kinds
and outcomes from this code.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100)
_UNIT = tuple(step / 10 for step in range(1, 11))
_DELAY = (1, 10, 60, 600, 3600, 6 * 3600, 86400, 7 * 86400)


class Metrics:
    """The metrics of one service, on a registry of their own; in the order of the stages of a request."""

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
        """Requests, and the time of a decision."""
        self.requests = Counter(
            "laserve_requests", "HTTP requests answered.", ["endpoint", "status"], registry=registry
        )
        self.stage_seconds = Histogram(
            "laserve_stage_seconds",
            "Seconds a decision spent in a stage, and in all (`total`).",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge("laserve_requests_in_flight", "Decisions being made now.", registry=registry)
        self.rejected = Counter(
            "laserve_rejected", "Requests turned away though valid.", ["reason"], registry=registry
        )

    def _declare_generation(self, registry: CollectorRegistry) -> None:
        """Candidates."""
        self.candidates = Counter(
            "laserve_candidates", "Candidates sampled.", ["finish_reason"], registry=registry
        )
        self.tokens = Counter(
            "laserve_tokens", "Tokens read (`prompt`) and sampled (`generated`).", ["kind"], registry=registry
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
            "laserve_explored", "Decisions whose arm was not the most likely one.", registry=registry
        )
        self.preferred = Counter(
            "laserve_preferred",
            "Decisions for which the observed policy would have drawn the arm.",
            ["arm"],
            registry=registry,
        )
        self.propensity = Histogram(
            "laserve_propensity", "Chance with which the arm was drawn.", buckets=_UNIT, registry=registry
        )
        self.degraded = Counter(
            "laserve_degraded", "Decisions that fell short of what was asked.", ["reason"], registry=registry
        )
        self.truncated = Counter(
            "laserve_truncated",
            "Decisions whose documents were cut to fit the generator or the arm that scored.",
            registry=registry,
        )

    def _declare_learning(self, registry: CollectorRegistry) -> None:
        """The policy's estimates of the arms."""
        self.arm_mean = Gauge(
            "laserve_arm_mean", "Reward predicted at the latest decision.", ["arm"], registry=registry
        )
        self.arm_width = Gauge(
            "laserve_arm_width",
            "Uncertainty at the latest decision, sqrt(x' A^-1 x).",
            ["arm"],
            registry=registry,
        )
        self.arm_pulls = Gauge(
            "laserve_arm_pulls", "Learned decisions whose answer the arm chose.", ["arm"], registry=registry
        )
        self.model_regret = Histogram(
            "laserve_model_regret",
            "Best predicted reward minus that of the arm drawn.",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
            registry=registry,
        )

    def _declare_reward_models(self, registry: CollectorRegistry) -> None:
        """Scores of each arm."""
        self.rm_seconds = Histogram(
            "laserve_rm_seconds",
            "Seconds an arm took to score, from the last candidate on.",
            ["arm"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.rm_failed = Counter(
            "laserve_rm_failed", "Requests that an arm could not score.", ["arm"], registry=registry
        )
        self.rm_non_finite = Counter(
            "laserve_rm_non_finite",
            "Candidates dropped because an arm gave them no finite score.",
            ["arm"],
            registry=registry,
        )
        self.rm_circuit = Gauge(
            "laserve_rm_circuit",
            "1 for the state that an arm's circuit is in: `closed`, `open` or `half-open`.",
            ["arm", "state"],
            registry=registry,
        )
        self.rm_truncated = Counter(
            "laserve_rm_truncated",
            "Requests whose documents were cut to fit an arm's model.",
            ["arm"],
            registry=registry,
        )
        self.rm_overlap = Gauge(
            "laserve_rm_overlap",
            "1 when an arm reads prompts while candidates are generated, 0 when it waits for them.",
            ["arm"],
            registry=registry,
        )
        self.shadow = Counter(
            "laserve_shadow",
            "Requests that all arms were to score: `scored`, `failed` in part, or `dropped` under load.",
            ["outcome"],
            registry=registry,
        )
        self.rm_shadow = Counter(
            "laserve_rm_shadow",
            "Such requests by arm, and by whether it would have returned the text that was returned.",
            ["arm", "agrees"],
            registry=registry,
        )
        self.arms = Gauge("laserve_arms", "Arms by their state.", ["state"], registry=registry)
        self.rm_fallback = Counter(
            "laserve_rm_fallback",
            "Decisions scored by another arm than the one drawn.",
            ["arm"],
            registry=registry,
        )
        self.rm_margin = Histogram(
            "laserve_rm_margin",
            "Best minus second best score of the scoring arm, in its own unit.",
            ["arm"],
            buckets=(0.001, 0.01, 0.1, 0.25, 0.5, 1, 2, 5, 10),
            registry=registry,
        )

    def _declare_feedback(self, registry: CollectorRegistry) -> None:
        """Feedback and rewards."""
        self.feedback = Counter(
            "laserve_feedback",
            "Feedback by kind and by what became of it.",
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
            "laserve_events_position", "Position of the log's last event.", registry=registry
        )
        self.changes = Gauge(
            "laserve_changes",
            "Changes that the log holds of the `generator`, its `template`, or the reward model of an `arm`.",
            ["what"],
            registry=registry,
        )
        self.snapshot_position = Gauge(
            "laserve_snapshot_position", "Position of the newest snapshot.", registry=registry
        )

    def _declare_health(self, registry: CollectorRegistry) -> None:
        """Engines, store and service."""
        self.engine_restarts = Counter(
            "laserve_engine_restarts",
            "Attempts to replace an engine that has died: `ready`, or `failed`.",
            ["engine", "outcome"],
            registry=registry,
        )
        self.store_refusing = Gauge(
            "laserve_store_refusing", "1 while the database refuses writes.", registry=registry
        )
        self.ready = Gauge("laserve_ready", "1 when requests are served.", registry=registry)

    def render(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self.registry)
