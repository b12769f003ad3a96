"""Metrics of HTTP requests, of permits and of the generation of candidates."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from laserve.metrics.scales import SECONDS, OptionalGauge

_ENDPOINT = (
    "Label `endpoint`: the route's template without `/v1`, such as `/decisions/{decision_id}`; `unmatched` "
    "for a request that matches no route or is refused before routing."
)
_STATUS_CLASS = (
    "Label `status_class`: `2xx`, `3xx`, `4xx` or `5xx` by the status; `5xx` also for an answer that an "
    "error broke off; `left` when the client left before the last byte."
)


class RequestMetrics:
    """Requests by endpoint and caller, permits, and candidates."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "laserve_requests",
            "HTTP answers begun since the start of the process, counted when the status is sent; a client "
            f"that leaves before it is not counted. {_ENDPOINT} Label `status`: the HTTP status code.",
            ["endpoint", "status"],
            registry=registry,
        )
        self.request_seconds = Histogram(
            "laserve_request_seconds",
            "Seconds from the head of an HTTP request to the last byte of its answer, streams included, "
            f"observed when the answer ends. {_ENDPOINT} {_STATUS_CLASS}",
            ["endpoint", "status_class"],
            buckets=SECONDS,
            registry=registry,
        )
        self.caller_requests = Counter(
            "laserve_caller_requests",
            "HTTP requests by API key, counted when the answer ends. Label `caller`: the name of the key "
            "under server.api_keys; `unauthorized` for a request that was refused with 401; `anonymous` "
            "where no keys are configured, at endpoints that need none, and for a request that was refused "
            f"before its key was read. {_ENDPOINT} {_STATUS_CLASS}",
            ["caller", "endpoint", "status_class"],
            registry=registry,
        )
        self.unauthorized = Counter(
            "laserve_unauthorized",
            "HTTP requests refused with 401, counted where server.api_keys is set. Label `cause`: `missing` "
            "without an Authorization header, `malformed` when it is not `Bearer` and a secret, `unknown` "
            "when no configured key has that secret.",
            ["cause"],
            registry=registry,
        )
        self.rejected = Counter(
            "laserve_rejected",
            "Valid requests that were refused without work on them. Label `reason`: `overloaded` for a POST "
            "/generate that found no free permit and was answered with 429.",
            ["reason"],
            registry=registry,
        )
        self.rejected.labels("overloaded")
        self.permits_in_use = Gauge(
            "laserve_permits_in_use",
            "Permits that admitted requests to POST /generate hold, which is the number of decisions under "
            "way; each holds one from its admission to the end of its answer, streams included.",
            registry=registry,
        )
        self.permits_limit = OptionalGauge(
            "laserve_permits_limit",
            "Number of permits of POST /generate; a request beyond it is refused with 429. It is "
            "server.max_concurrent_requests, or else what the generator serves well at once, and absent "
            "until the generator has loaded and that is known.",
            registry=registry,
        )
        self.stage_seconds = Histogram(
            "laserve_stage_seconds",
            "Seconds that a stored decision spent in a stage. Label `stage`: `choose` renders the prompt, "
            "builds the context and draws the arm, `generate` samples the candidates, `score` waits for the "
            "scores of the arms, `store` writes the decision, and `total` is the whole decision.",
            ["stage"],
            buckets=SECONDS,
            registry=registry,
        )
        self.first_candidate_seconds = Histogram(
            "laserve_first_candidate_seconds",
            "Seconds from the start of a request's generation to its first finished candidate, observed "
            "when that candidate has finished; a request without a candidate has none.",
            buckets=SECONDS,
            registry=registry,
        )
        self.candidates = Counter(
            "laserve_candidates",
            "Candidates sampled for decisions that were stored. Label `finish_reason`: `stop` when the "
            "model or a stop text ended the candidate, `length` when it reached max_tokens.",
            ["finish_reason"],
            registry=registry,
        )
        self.tokens = Counter(
            "laserve_tokens",
            "Tokens read or sampled for decisions that were stored. Label `kind`: `prompt` for tokens of "
            "the prompt, read once for all candidates; `generated` for tokens sampled in all candidates.",
            ["kind"],
            registry=registry,
        )
