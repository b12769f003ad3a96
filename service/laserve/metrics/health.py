"""Metrics of the event log, the database, the engines and the service itself."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from laserve.metrics.scales import OptionalGauge

_ENGINE = (
    "Label `engine`: `generator`, or `rm-` and the model of a reward model's engine, with `-2`, `-3` and so "
    "on where several engines have the same model."
)


class HealthMetrics:
    """The parts that last from request to request."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events_position = Gauge(
            "laserve_events_position",
            "Position of the last event in the event log, which is also the number of its events.",
            registry=registry,
        )
        self.changes = Gauge(
            "laserve_changes",
            "Changes of models that the event log has recorded. Label `what`: `generator` for the "
            "generator's model, `template` for its prompt template, `arm` for the reward model of an arm.",
            ["what"],
            registry=registry,
        )
        self.snapshot_position = OptionalGauge(
            "laserve_snapshot_position",
            "Position in the event log of the newest snapshot of the learned state; absent while there is "
            "none.",
            registry=registry,
        )
        self.snapshot_age = OptionalGauge(
            "laserve_snapshot_age_seconds",
            "Seconds since the newest snapshot of the learned state was written; absent while there is none.",
            registry=registry,
        )
        self.database_bytes = Gauge(
            "laserve_database_bytes",
            "Bytes of a file of the database, read at each scrape; absent for storage in memory and while "
            "the file does not exist. Label `file`: `database` for the file itself, `wal` for its "
            "write-ahead log.",
            ["file"],
            registry=registry,
        )
        self.database_free_bytes = OptionalGauge(
            "laserve_database_free_bytes",
            "Bytes free on the file system of the database for a process without privileges, read at each "
            "scrape; absent for storage in memory.",
            registry=registry,
        )
        self.store_refusing = Gauge(
            "laserve_store_refusing",
            "1 while the database refuses writes, 0 while it takes them.",
            registry=registry,
        )
        self.engine_up = Gauge(
            "laserve_engine_up",
            "1 while an engine of the service serves, 0 while it starts or after it has died; absent for an "
            f"engine that is not needed. {_ENGINE}",
            ["engine"],
            registry=registry,
        )
        self.engine_restarts = Counter(
            "laserve_engine_restarts",
            f"Attempts to restart an engine that has died. {_ENGINE} Label `outcome`: `ready` when the "
            "engine serves again, `failed` when it could not be started, after which there is another "
            "attempt.",
            ["engine", "outcome"],
            registry=registry,
        )
        self.policy_info = Gauge(
            "laserve_policy_info",
            "Always 1, for its labels. Label `policy`: the configured policy.name. Label `mode`: "
            "policy.mode, `live` where the policy answers, `observe` where it is only observed. Label "
            "`learn_from`: the kind of feedback that teaches, fixed by the event log or by "
            "policy.learn_from; empty until one is fixed.",
            ["policy", "mode", "learn_from"],
            registry=registry,
        )
        self.build_info = Gauge(
            "laserve_build_info",
            "Always 1, for its labels. Label `version`: the version of laserve. Label `python`: the version "
            "of Python. Label `vllm`: the version of vLLM, empty where it is not installed.",
            ["version", "python", "vllm"],
            registry=registry,
        )
        self.ready = Gauge(
            "laserve_ready",
            "1 while the service answers requests to POST /generate, 0 while the generator, every arm or "
            "the database cannot serve.",
            registry=registry,
        )
