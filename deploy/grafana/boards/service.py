"""The board *Service*: requests, generation, the store, and the process."""

from boards.parts import INSTANCES, Board, Panel, Query, Row
from boards.promql import CLIENTS, gauge, quantile, quotient, rate
from boards.service_store import PROCESS, STORE

REQUESTS = Row(
    title="Requests",
    panels=[
        Panel(
            title="Requests by endpoint",
            description="Requests a second that got an answer, without the probes of a monitor (`/metrics`, "
            "`/healthz`, `/readyz`).",
            unit="reqps",
            low=0,
            queries=[Query(expr=rate("laserve_requests_total", "endpoint", CLIENTS), legend="{{endpoint}}")],
        ),
        Panel(
            title="Answers by status",
            description="Answers a second by HTTP status: 4xx are the clients' errors, 429 is a refusal "
            "under load, 5xx are the service's errors.",
            unit="reqps",
            low=0,
            queries=[Query(expr=rate("laserve_requests_total", "status", CLIENTS), legend="{{status}}")],
        ),
        Panel(
            title="Clients that left, and server errors",
            description="Share of the requests that the client left before the last byte (`left`), and share "
            "that ended with a server's error (`5xx`).",
            unit="percentunit",
            low=0,
            queries=[
                Query(
                    expr=quotient(
                        rate(
                            "laserve_request_seconds_count",
                            "instance",
                            f'{CLIENTS},status_class="{status_class}"',
                        ),
                        rate("laserve_request_seconds_count", "instance", CLIENTS),
                    ),
                    legend=f"{status_class}, {{{{instance}}}}",
                )
                for status_class in ("left", "5xx")
            ],
        ),
        Panel(
            title="Latency by endpoint, median",
            description="Seconds from the request's head to the last byte of its answer, streams included.",
            unit="s",
            low=0,
            queries=[
                Query(
                    expr=quantile(0.5, "laserve_request_seconds", "endpoint", CLIENTS),
                    legend="{{endpoint}}",
                )
            ],
        ),
        Panel(
            title="Latency by endpoint, 95% quantile",
            description="Seconds from the request's head to the last byte of its answer, streams included.",
            unit="s",
            low=0,
            queries=[
                Query(
                    expr=quantile(0.95, "laserve_request_seconds", "endpoint", CLIENTS),
                    legend="{{endpoint}}",
                )
            ],
        ),
        Panel(
            title="Decision by stage, 95% quantile",
            description="Seconds that a decision spends in each stage; `total` is the whole decision. The "
            "longest stage is where to look first.",
            unit="s",
            low=0,
            queries=[Query(expr=quantile(0.95, "laserve_stage_seconds", "stage"), legend="{{stage}}")],
        ),
        Panel(
            title="Time to first candidate",
            description="Seconds from the start of generation to the first finished candidate.",
            unit="s",
            low=0,
            queries=[
                Query(expr=quantile(0.5, "laserve_first_candidate_seconds"), legend="median"),
                Query(expr=quantile(0.95, "laserve_first_candidate_seconds"), legend="95% quantile"),
            ],
        ),
        Panel(
            title="Permits of POST /generate",
            description="Permits in use, one for each decision under way, and their number. At the limit, "
            "further requests are answered 429.",
            unit="short",
            low=0,
            queries=[
                Query(expr=gauge("laserve_permits_in_use", "instance"), legend="in use, {{instance}}"),
                Query(expr=gauge("laserve_permits_limit", "instance"), legend="limit, {{instance}}"),
            ],
        ),
        Panel(
            title="Rejections and refused keys",
            description="Valid requests that were refused, by reason, and requests that were answered 401, "
            "by what is wrong with their key.",
            unit="reqps",
            low=0,
            queries=[
                Query(expr=rate("laserve_rejected_total", "reason"), legend="{{reason}}"),
                Query(expr=rate("laserve_unauthorized_total", "cause"), legend="401: key {{cause}}"),
            ],
        ),
        Panel(
            title="Callers",
            description="Requests a second by the name of the caller's API key; `anonymous` where no keys "
            "are configured, `unauthorized` for a refused key.",
            unit="reqps",
            low=0,
            queries=[
                Query(expr=rate("laserve_caller_requests_total", "caller", CLIENTS), legend="{{caller}}")
            ],
        ),
        Panel(
            title="Callers' failed requests",
            description="Requests a second that were not answered 2xx, by caller and class of the status.",
            unit="reqps",
            low=0,
            queries=[
                Query(
                    expr=rate(
                        "laserve_caller_requests_total",
                        "caller, status_class",
                        f'{CLIENTS},status_class!="2xx"',
                    ),
                    legend="{{caller}}, {{status_class}}",
                )
            ],
        ),
    ],
)

GENERATION = Row(
    title="Generation",
    panels=[
        Panel(
            title="Candidates by finish reason",
            description="Candidates sampled a second. Many that end by `length` suggest that `max_tokens` is "
            "too small.",
            unit="ops",
            low=0,
            queries=[
                Query(expr=rate("laserve_candidates_total", "finish_reason"), legend="{{finish_reason}}")
            ],
        ),
        Panel(
            title="Tokens",
            description="Tokens a second that were read (`prompt`) or sampled (`generated`).",
            unit="ops",
            low=0,
            queries=[Query(expr=rate("laserve_tokens_total", "kind"), legend="{{kind}}")],
        ),
        Panel(
            title="Decisions that fell short",
            description="Shortfalls of decisions by reason, as in the answer's `degraded`, and decisions "
            "whose documents were cut.",
            unit="ops",
            low=0,
            queries=[
                Query(expr=rate("laserve_degraded_total", "reason"), legend="{{reason}}"),
                Query(expr=rate("laserve_truncated_total"), legend="documents cut"),
            ],
        ),
        Panel(
            title="Engines",
            description="Whether each engine serves. Without an engine in the same process there is no data.",
            unit="none",
            kind="states",
            texts={0: "down", 1: "up"},
            queries=[
                Query(
                    expr=gauge("laserve_engine_up", "instance, engine", "min"),
                    legend="{{engine}}, {{instance}}",
                )
            ],
        ),
        Panel(
            title="Engine restarts",
            description="Attempts to restart a dead engine since the service began: `ready` or `failed`. "
            "Without a death there is no data. The total is shown: a rate would miss the first attempt.",
            unit="short",
            low=0,
            queries=[
                Query(
                    expr=gauge("laserve_engine_restarts_total", "engine, outcome", "sum"),
                    legend="{{engine}}, {{outcome}}",
                )
            ],
        ),
    ],
)

BOARD = Board(
    uid="laserve-service",
    title="laserve: Service",
    description="Requests, latency, generation, the store and the process of each instance.",
    variables=[INSTANCES],
    rows=[REQUESTS, GENERATION, STORE, PROCESS],
)
