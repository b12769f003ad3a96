"""The board *Reward models*: scores, health and agreement of each arm."""

from boards.parts import ARMS, INSTANCES, Board, Panel, Query, Row
from boards.promql import ARM, INSTANCE, mean, quantile, quotient, rate

STATES = {1: "ready", 2: "loading", 3: "draining", 4: "retired", 5: "half-open", 6: "open", 7: "failed"}


def _number(metric: str, states: dict[int, str]) -> str:
    """For each arm, the number of the one state whose series is 1."""
    numbers = (f'{number} * {metric}{{{ARM},state="{state}"}}' for number, state in states.items())
    return f"max by (arm) ({' or '.join(numbers)})"


def _score(sign: str) -> str:
    of = "avg by (arm) (laserve_rm_score_{}{{" + ARM + "}})"
    return of.format("mean") + (f" {sign} {of.format('sd')}" if sign else "")


SCORES = Row(
    title="Scores",
    panels=[
        Panel(
            title="Margin by arm, median",
            description="Best score minus second best score, in the unit of the arm's scores. A margin near "
            "0 means that the arm hardly tells the candidates apart.",
            unit="none",
            low=0,
            queries=[Query(expr=quantile(0.5, "laserve_rm_margin", "arm", ARM), legend="{{arm}}")],
        ),
        Panel(
            title="Margin by arm, mean",
            description="Mean of best score minus second best score; far above the median where few requests "
            "have a clear winner.",
            unit="none",
            low=0,
            queries=[Query(expr=mean("laserve_rm_margin", "arm", ARM), legend="{{arm}}")],
        ),
        Panel(
            title="Drift of scores",
            description="Present mean of an arm's scores minus the one a day ago, in standard deviations of "
            "a day ago. A value beyond 0.5 either way means other requests, other candidates, or another "
            "model. Shown once the service has scored 50 requests since its start, now and a day ago.",
            unit="none",
            queries=[
                Query(
                    expr=f"avg by (arm) ((laserve_rm_score_mean{{{ARM}}} - laserve_rm_score_mean{{{ARM}}} "
                    f"offset 1d) / (laserve_rm_score_sd{{{ARM}}} offset 1d > 0) "
                    f"and laserve_rm_seconds_count{{{ARM}}} >= 50 "
                    f"and laserve_rm_seconds_count{{{ARM}}} offset 1d >= 50)",
                    legend="{{arm}}",
                )
            ],
        ),
        Panel(
            title="Scores of $arm",
            description="Mean of the arm's latest scores (about 1,000 candidates), -+ their standard "
            "deviation. The band is where most candidates lie, not the uncertainty of the mean.",
            unit="none",
            repeat="arm",
            width=24,
            band=True,
            queries=[
                Query(expr=_score(""), legend="mean"),
                Query(expr=_score("-"), legend="low"),
                Query(expr=_score("+"), legend="high"),
            ],
        ),
        Panel(
            title="Distribution of scores of $arm",
            description="Candidates a second by score. The buckets are coarse; they show a shift or a second "
            "peak, not a quantile.",
            unit="none",
            kind="heatmap",
            repeat="arm",
            width=24,
            queries=[Query(expr=rate("laserve_rm_score_bucket", "le", ARM), legend="{{le}}")],
        ),
    ],
)

HEALTH = Row(
    title="Health",
    panels=[
        Panel(
            title="State of each arm",
            description="State of each arm, as `GET /arms` gives it.",
            unit="none",
            kind="states",
            texts=STATES,
            queries=[Query(expr=_number("laserve_arm_state", STATES), legend="{{arm}}")],
        ),
        Panel(
            title="Circuits",
            description="State of each arm's circuit breaker. While it is open, the arm is not drawn.",
            unit="none",
            kind="states",
            texts={1: "closed", 2: "half-open", 3: "open"},
            queries=[
                Query(
                    expr=_number("laserve_rm_circuit", {1: "closed", 2: "half-open", 3: "open"}),
                    legend="{{arm}}",
                )
            ],
        ),
        Panel(
            title="Arms by state",
            description="Number of arms in each state.",
            unit="short",
            low=0,
            queries=[Query(expr=f"max by (state) (laserve_arms{{{INSTANCE}}})", legend="{{state}}")],
        ),
        Panel(
            title="Scoring time by arm, 95% quantile",
            description="Seconds from the last candidate until the arm had scored the request, failures "
            "included.",
            unit="s",
            low=0,
            queries=[Query(expr=quantile(0.95, "laserve_rm_seconds", "arm", ARM), legend="{{arm}}")],
        ),
        Panel(
            title="Scoring time by arm, median",
            description="Seconds from the last candidate until the arm had scored the request, failures "
            "included.",
            unit="s",
            low=0,
            queries=[Query(expr=quantile(0.5, "laserve_rm_seconds", "arm", ARM), legend="{{arm}}")],
        ),
        Panel(
            title="Failures by arm",
            description="Share of the requests to an arm that it could not score: it raised, timed out, gave "
            "no finite score, or did not take the request.",
            unit="percentunit",
            low=0,
            queries=[
                Query(
                    expr=quotient(
                        rate("laserve_rm_failed_total", "arm", ARM),
                        rate("laserve_rm_seconds_count", "arm", ARM),
                    ),
                    legend="{{arm}}",
                )
            ],
        ),
        Panel(
            title="Fallbacks by drawn arm",
            description="Decisions a second whose drawn arm failed and was replaced by another arm.",
            unit="ops",
            low=0,
            queries=[Query(expr=rate("laserve_rm_fallback_total", "arm", ARM), legend="{{arm}}")],
        ),
        Panel(
            title="Scores that were not finite",
            description="Candidates dropped a second because the arm gave them no finite score.",
            unit="ops",
            low=0,
            queries=[Query(expr=rate("laserve_rm_non_finite_total", "arm", ARM), legend="{{arm}}")],
        ),
        Panel(
            title="Truncated requests by arm",
            description="Requests a second whose documents were cut to fit the arm's reward model.",
            unit="ops",
            low=0,
            queries=[Query(expr=rate("laserve_rm_truncated_total", "arm", ARM), legend="{{arm}}")],
        ),
    ],
)

SHADOWS = Row(
    title="Shadow scoring and overlap",
    panels=[
        Panel(
            title="Disagreement with the returned answer",
            description="Share of the shadow-scored requests for which the arm would have returned another "
            "text. Arms that always agree add nothing to the choice.",
            unit="percentunit",
            low=0,
            high=1,
            queries=[
                Query(
                    expr=quotient(
                        rate("laserve_rm_shadow_total", "arm", f'{ARM},agrees="no"'),
                        rate("laserve_rm_shadow_total", "arm", ARM),
                    ),
                    legend="{{arm}}",
                )
            ],
        ),
        Panel(
            title="Shadow-scored requests",
            description="Requests a second that were selected for scoring by all arms: `scored`, `failed` in "
            "part, or `dropped` under load.",
            unit="ops",
            low=0,
            queries=[Query(expr=rate("laserve_shadow_total", "outcome"), legend="{{outcome}}")],
        ),
        Panel(
            title="Overlap with generation",
            description="Whether each arm reads the prompt while candidates are generated, or waits.",
            unit="none",
            kind="states",
            texts={0: "waits", 1: "reads ahead"},
            queries=[Query(expr=f"max by (arm) (laserve_rm_overlap{{{ARM}}})", legend="{{arm}}")],
        ),
    ],
)

BOARD = Board(
    uid="laserve-reward-models",
    title="laserve: Reward models",
    description="Scores, health, and agreement of each arm's reward model.",
    variables=[INSTANCES, ARMS],
    rows=[SCORES, HEALTH, SHADOWS],
)
