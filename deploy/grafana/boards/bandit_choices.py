"""The board *Bandit choices*: what the policy draws, what it has learned, and from which feedback."""

from boards.bandit_learning import FEEDBACK, LEARNING
from boards.parts import ARMS, INSTANCES, POLICIES, TASKS, WINDOW, Board, Note, Panel, Query, Row
from boards.promql import CHOICE, INSTANCE, increase, mean, quantile, quotient, rate, share

CHOICES = Row(
    title="Choices",
    panels=[
        Panel(
            title="Arm share",
            description="Share of the decisions that drew each arm. A policy that learns moves it; a floor "
            "remains for every arm through exploration.",
            unit="percentunit",
            kind="stacked",
            low=0,
            high=1,
            queries=[
                Query(
                    expr=share(
                        rate("laserve_decisions_total", "arm", CHOICE),
                        rate("laserve_decisions_total", "", CHOICE),
                    ),
                    legend="{{arm}}",
                )
            ],
        ),
        Panel(
            title="Arm share by task, in the window",
            description="Share of a task's decisions that drew each arm. Tasks that differ here are where a "
            "contextual bandit earns its keep; equal rows mean that one arm would do.",
            unit="percentunit",
            kind="bars",
            low=0,
            high=1,
            queries=[
                Query(
                    expr=share(
                        increase("laserve_decisions_total", "task, arm", CHOICE),
                        increase("laserve_decisions_total", "task", CHOICE),
                        of="task",
                    ),
                    legend="{{task}}: {{arm}}",
                )
            ],
        ),
        Panel(
            title="Decisions by policy and task",
            description="Decisions a second. `pinned` are requests that named their arm; task `none` named "
            "no task, `other` an undeclared one.",
            unit="reqps",
            low=0,
            queries=[
                Query(
                    expr=rate("laserve_decisions_total", "policy, task", CHOICE),
                    legend="{{policy}}, {{task}}",
                )
            ],
        ),
        Panel(
            title="Exploration",
            description="Share of the drawn decisions whose arm was not the most likely one, and share that "
            "drew an arm with a chance of at most 10%. Pinned requests are left out: they have no chance.",
            unit="percentunit",
            low=0,
            queries=[
                Query(
                    expr=quotient(rate("laserve_explored_total"), rate("laserve_propensity_count")),
                    legend="not the likeliest arm",
                ),
                Query(
                    expr=quotient(
                        rate("laserve_propensity_bucket", "", f'{INSTANCE},le="0.1"'),
                        rate("laserve_propensity_count"),
                    ),
                    legend="chance at most 10%",
                ),
            ],
        ),
        Panel(
            title="Propensity of the drawn arm",
            description="Mean and 10% quantile of the chance with which the arm was drawn. Off-policy "
            "estimates divide by it: the lower, the wider their intervals.",
            unit="percentunit",
            low=0,
            high=1,
            queries=[
                Query(expr=mean("laserve_propensity"), legend="mean"),
                Query(expr=quantile(0.1, "laserve_propensity"), legend="10% quantile"),
            ],
        ),
        Panel(
            title="What an observed policy would draw",
            description="In mode `observe` another arm answers; this is the share of each arm among the "
            "draws that the policy would have made. Without that mode there is no data.",
            unit="percentunit",
            kind="stacked",
            low=0,
            high=1,
            queries=[
                Query(
                    expr=share(rate("laserve_preferred_total", "arm"), rate("laserve_preferred_total")),
                    legend="{{arm}}",
                )
            ],
        ),
        Panel(
            title="Policy",
            description="The configured policy, its mode and the kind of feedback that teaches; the last one "
            "is empty until the first feedback fixes it.",
            unit="none",
            kind="table",
            hidden=["instances"],
            queries=[
                Query(
                    expr=f"count by (policy, mode, learn_from) (laserve_policy_info{{{INSTANCE}}})",
                    legend="instances",
                )
            ],
        ),
    ],
)

BOARD = Board(
    uid="laserve-bandit-choices",
    title="laserve: Bandit choices",
    description="Which reward model the policy draws, what it has learned of each, and from which feedback.",
    variables=[INSTANCES, POLICIES, TASKS, ARMS, WINDOW],
    rows=[CHOICES, LEARNING, FEEDBACK],
    notes=[
        Note(
            name="Model change",
            # The last value within a day, as a model is often replaced while the service is stopped.
            expr=f"max by (what) (laserve_changes{{{INSTANCE}}} - last_over_time("
            f"laserve_changes{{{INSTANCE}}}[1d] offset 30m)) > 0",
            text="changed: {{what}}",
            colour="orange",
        ),
        Note(
            name="Arm ready",
            # Only where the service was scraped then: after a gap every arm would look new.
            expr=f'max by (arm) (laserve_arm_state{{{INSTANCE},state="ready"}} == 1 and on (instance) '
            f"up{{{INSTANCE}}} offset 5m == 1) unless max by (arm) "
            f'(laserve_arm_state{{{INSTANCE},state="ready"}} offset 5m == 1)',
            text="ready: {{arm}}",
            colour="green",
        ),
    ],
)
