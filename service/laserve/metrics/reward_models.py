"""Metrics of the reward models: states, scores, failures and shadow scores of the arms."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from laserve.metrics.scales import SECONDS

_ARM = "Label `arm`: the arm's name."
_STATES = (
    "`loading`, `ready`, `failed` (it did not load), `open` or `half-open` (its circuit breaker keeps "
    "requests away, or tries one), `draining` or `retired`"
)
_ABSENT = (
    "absent until the weights add up to 200, which is after about 220 candidates since the arm was loaded, "
    "and for an arm that is not loaded and enabled"
)
#: Symmetric, since scores of many reward models are logits.
_SCORES = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100)
_SCORE_BUCKETS = (*(-bound for bound in reversed(_SCORES)), 0.0, *_SCORES)


class RewardModelMetrics:
    """Arms, and their scores."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.arms = Gauge(
            "laserve_arms",
            f"Number of arms in a state. Label `state`: {_STATES}.",
            ["state"],
            registry=registry,
        )
        self.arm_state = Gauge(
            "laserve_arm_state",
            "1 for the state that an arm is in, 0 for the other states, as in GET /arms. Label `arm`: the "
            f"arm's name. Label `state`: {_STATES}.",
            ["arm", "state"],
            registry=registry,
        )
        self.rm_circuit = Gauge(
            "laserve_rm_circuit",
            "1 for the state of an arm's circuit breaker, 0 for the other states; absent for a retired arm. "
            f"{_ARM} Label `state`: `closed` lets requests through, `open` keeps them away after repeated "
            "failures, `half-open` lets one at a time through after a self-test has passed.",
            ["arm", "state"],
            registry=registry,
        )
        self.rm_overlap = Gauge(
            "laserve_rm_overlap",
            "1 if an arm reads the prompt while candidates are generated, 0 if it waits for the candidates; "
            f"absent for a retired arm. {_ARM}",
            ["arm"],
            registry=registry,
        )
        self.rm_seconds = Histogram(
            "laserve_rm_seconds",
            "Seconds from the last candidate of a request until an arm had scored it or had failed, shadow "
            f"scores included. {_ARM}",
            ["arm"],
            buckets=SECONDS,
            registry=registry,
        )
        self.rm_score = Histogram(
            "laserve_rm_score",
            "Raw scores that an arm gave to candidates, in the unit of its reward model, shadow scores "
            "included; only finite ones, and none of arms that combine other arms' scores. There is no sum, "
            f"since scores may be negative. {_ARM}",
            ["arm"],
            buckets=_SCORE_BUCKETS,
            registry=registry,
        )
        self.rm_score_mean = Gauge(
            "laserve_rm_score_mean",
            "Mean of an arm's finite scores, in the unit of its reward model, exponentially weighted over "
            f"about its last 1,000 candidates, so that drift shows; {_ABSENT}. {_ARM}",
            ["arm"],
            registry=registry,
        )
        self.rm_score_sd = Gauge(
            "laserve_rm_score_sd",
            "Standard deviation of an arm's finite scores, in the unit of its reward model, exponentially "
            f"weighted over about its last 1,000 candidates; {_ABSENT}. {_ARM}",
            ["arm"],
            registry=registry,
        )
        self.rm_margin = Histogram(
            "laserve_rm_margin",
            "Best score minus second best score of the arm whose scores chose the answer, in the unit of "
            "its reward model, one observation a decision with two finite scores or more. Label `arm`: the "
            "arm whose scores chose.",
            ["arm"],
            buckets=(0.001, 0.01, 0.1, 0.25, 0.5, 1, 2, 5, 10),
            registry=registry,
        )
        self.rm_failed = Counter(
            "laserve_rm_failed",
            "Requests that an arm tried to score and could not: it raised, took too long, gave no finite "
            f"score, or could not take the request. {_ARM}",
            ["arm"],
            registry=registry,
        )
        self.rm_non_finite = Counter(
            "laserve_rm_non_finite",
            "Candidates that were dropped because an arm gave them no finite score but scored others. "
            f"{_ARM}",
            ["arm"],
            registry=registry,
        )
        self.rm_truncated = Counter(
            "laserve_rm_truncated",
            f"Requests that an arm scored with documents cut to fit its reward model. {_ARM}",
            ["arm"],
            registry=registry,
        )
        self.rm_fallback = Counter(
            "laserve_rm_fallback",
            "Decisions whose drawn arm could not score and whose answer another arm chose. Label `arm`: the "
            "drawn arm, which was replaced.",
            ["arm"],
            registry=registry,
        )
        self.shadow = Counter(
            "laserve_shadow",
            "Requests selected by scoring.shadow_share for scoring by all arms, counted at the end. Label "
            "`outcome`: `scored` by every arm, `failed` when an arm could not score or the scores could not "
            "be stored, `dropped` under load.",
            ["outcome"],
            registry=registry,
        )
        self.rm_shadow = Counter(
            "laserve_rm_shadow",
            "Shadow-scored requests that an arm has scores of. Label `arm`: the arm's name. Label `agrees`: "
            "`yes` if the arm would have returned the text that was returned, `no` if it would have "
            "returned another.",
            ["arm", "agrees"],
            registry=registry,
        )
