"""The rows of the board *Bandit choices* on what the policy has learned, and from which feedback."""

from boards.parts import Panel, Query, Row
from boards.promql import ARM, CHOICE, INSTANCE, increase, mean, quantile, quotient, rate, wilson

REWARD = f'{CHOICE},arm=~"$arm"'
_INTERVAL = (
    "95% interval: Wilson's score interval for the mean of values in [0, 1], from the sum and the number of "
    "the rewards within the window. It is exact in the usual sense for rewards of 0 and 1, and wider than "
    "needed for rewards between them, whose variance is lower. Corrections count as further rewards."
)


def _bounds(by: str, where: str) -> list[Query]:
    return [
        Query(expr=mean("laserve_reward", by, where, "$window"), legend="mean"),
        Query(expr=wilson("low", "laserve_reward", by, where), legend="low"),
        Query(expr=wilson("high", "laserve_reward", by, where), legend="high"),
    ]


def _prediction(width: str) -> str:
    """The mean of the predictions for an arm, with a multiple of their widths."""
    part = "avg by (arm) (avg_over_time(laserve_arm_{}{{" + ARM + "}}[$__rate_interval]))"
    return part.format("mean") + (f" {width} {part.format('width')}" if width else "")


LEARNING = Row(
    title="Learning",
    panels=[
        Panel(
            title="Predicted reward by arm",
            description="Reward that the linear model predicts for each arm, for the contexts of the latest "
            "decisions; mean over the range of a point. With `policy.reward_scaling` it is the scaled "
            "reward, which does not compare with *Reward by arm*.",
            unit="none",
            queries=[
                Query(
                    expr=f"avg by (arm) (avg_over_time(laserve_arm_mean{{{ARM}}}[$__rate_interval]))",
                    legend="{{arm}}",
                )
            ],
        ),
        Panel(
            title="Reward by arm, in the window",
            description="Mean reward of the answers that each arm chose, whichever policy drew it: arms get "
            "different requests, so a difference between arms is not a difference in quality. " + _INTERVAL,
            unit="none",
            kind="table",
            queries=[
                *_bounds("arm", REWARD),
                Query(expr=f"{increase('laserve_reward_count', 'arm', REWARD)} > 0", legend="rewards"),
            ],
        ),
        Panel(
            title="Model regret",
            description="Highest reward predicted for any arm minus the reward predicted for the arm drawn, "
            "a decision: what exploration costs by the model's own account. It says nothing of errors of the "
            "model. With `policy.reward_scaling` it is in scaled rewards.",
            unit="none",
            low=0,
            queries=[
                Query(expr=mean("laserve_model_regret"), legend="mean"),
                Query(expr=quantile(0.95, "laserve_model_regret"), legend="95% quantile"),
            ],
        ),
        Panel(
            title="Predicted reward of $arm",
            description="Prediction with a band of 0.98 width: mean -+ 0.98 * sqrt(x' A^-1 x); the root is "
            "the exported width. A guide to what the policy does not know yet, not a confidence interval. "
            "In units of the reward that the policy learns: with `policy.reward_scaling` the scaled one.",
            unit="none",
            repeat="arm",
            width=24,
            band=True,
            queries=[
                Query(expr=_prediction(""), legend="mean"),
                Query(expr=_prediction("- 0.98 *"), legend="low"),
                Query(expr=_prediction("+ 0.98 *"), legend="high"),
            ],
        ),
        Panel(
            title="Reward of $arm",
            description="Mean reward of the answers that the arm chose, within the window. " + _INTERVAL,
            unit="none",
            repeat="arm",
            width=24,
            band=True,
            queries=_bounds("arm", REWARD),
        ),
        Panel(
            title="Reward by policy and task, in the window",
            description="Mean reward of each policy on each task. Policies that answer the same kind of "
            "requests may be compared. " + _INTERVAL,
            unit="none",
            kind="table",
            width=12,
            queries=[
                *_bounds("policy, task", CHOICE),
                Query(
                    expr=f"{increase('laserve_reward_count', 'policy, task', CHOICE)} > 0", legend="rewards"
                ),
            ],
        ),
        Panel(
            title="Learned decisions by arm",
            description="Learned decisions whose answer each arm chose, since the log began.",
            unit="short",
            low=0,
            width=12,
            queries=[Query(expr=f"max by (arm) (laserve_arm_pulls{{{ARM}}})", legend="{{arm}}")],
        ),
    ],
)

FEEDBACK = Row(
    title="Feedback",
    panels=[
        Panel(
            title="Feedback by kind and outcome",
            description="Feedback a second. `default` is the reward that a decision learns when its window "
            "closes without feedback; `duplicate` changed nothing.",
            unit="reqps",
            low=0,
            queries=[
                Query(expr=rate("laserve_feedback_total", "kind, outcome"), legend="{{kind}}, {{outcome}}")
            ],
        ),
        Panel(
            title="Answer rate by arm, in the window",
            description="Decisions that got their first feedback within the window, over decisions within "
            "the window. Feedback belongs to earlier decisions, so the rate passes 1 after a fall of "
            "traffic. A difference between arms biases what the bandit learns.",
            unit="percentunit",
            low=0,
            queries=[
                Query(
                    expr=quotient(
                        increase("laserve_answered_total", "arm", REWARD),
                        increase("laserve_decisions_total", "arm", REWARD),
                    ),
                    legend="{{arm}}",
                )
            ],
        ),
        Panel(
            title="Feedback delay",
            description="Time from a decision to its feedback. A delay near the feedback window means that "
            "default rewards replace feedback that was only late.",
            unit="s",
            low=0,
            queries=[
                Query(expr=quantile(0.5, "laserve_feedback_delay_seconds"), legend="median"),
                Query(expr=quantile(0.9, "laserve_feedback_delay_seconds"), legend="90% quantile"),
            ],
        ),
        Panel(
            title="Pending default rewards",
            description="Decisions whose default reward is still due, since no feedback has taught yet.",
            unit="short",
            low=0,
            queries=[
                Query(
                    expr=f"max by (instance) (laserve_feedback_pending{{{INSTANCE}}})", legend="{{instance}}"
                )
            ],
        ),
        Panel(
            title="Feedback that did not teach",
            description="Recorded feedback that the policy did not learn from, a second, by reason.",
            unit="reqps",
            low=0,
            queries=[Query(expr=rate("laserve_feedback_unlearned_total", "reason"), legend="{{reason}}")],
        ),
        Panel(
            title="Changes in the log",
            description="Replaced generators, chat templates and reward models since the log began; each one "
            "also lowers the weight of what was learned before it.",
            unit="short",
            low=0,
            queries=[Query(expr=f"max by (what) (laserve_changes{{{INSTANCE}}})", legend="{{what}}")],
        ),
    ],
)
