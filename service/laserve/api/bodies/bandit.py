"""Bodies of the answers of ``/policy`` and ``/policies``."""

from typing import Any, Literal, Self

from pydantic import Field

from laserve.api.bodies.base import Body
from laserve.bandit.offpolicy.estimators import CannotSay, Estimate
from laserve.history.offpolicy import Report


class PolicyArm(Body):
    """What the log says of one arm."""

    name: str
    pulls: int
    updates: int
    mean_reward: float | None
    theta: list[float] = Field(description="Learned weights, in the order of `context`.")
    fingerprint: str | None = Field(description="Of its reward model, as the log knows it.")


class ChangeBody(Body):
    """Another generator, template or reward model than before."""

    what: Literal["generator", "template", "arm"]
    arm: str | None = Field(description="The arm that got another reward model.")
    before: str | None = Field(description="Fingerprint.")
    after: str = Field(description="Fingerprint.")
    kept: float = Field(description="Share of what was learned that was kept.")
    position: int = Field(description="Of its event in the log.")
    decisions: int = Field(description="Decisions learned before it.")


class RewardScale(Body):
    """Quantiles that rewards are scaled by before they are learned."""

    low: float = Field(description="20% quantile, learned as 0.")
    high: float = Field(description="80% quantile, learned as 1.")


class PolicyBody(Body):
    """The policy and its state."""

    name: str
    parameters: dict[str, Any]
    context: list[str] = Field(description="Names of the features.")
    log_position: int
    digest: str = Field(description="SHA-256 of the state.")
    decisions: int = Field(description="Learned decisions.")
    learn_from: str | None = Field(description="Kind of feedback that teaches.")
    reward_scale: RewardScale | None = Field(
        description="Null where rewards are learned as they are: always without `policy.reward_scaling`."
    )
    fingerprints: dict[str, str] = Field(description="Of `generator` and `template`, as the log knows them.")
    changes: list[ChangeBody] = Field(description="The latest 20, newest first.")
    arms: list[PolicyArm]


class EstimateBody(Body):
    """A mean reward with its 95% interval, or why there is none."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    effective_sample: float | None = Field(None, description="(sum w)^2 / sum w^2, in decisions.")
    clusters: int | None = Field(None, description="Independent sources among the decisions.")
    why: str | None = Field(None, description="Why nothing can be said; null where `value` is.")
    more_decisions: int | None = Field(
        None, description="About how many more decisions would do, where the log says too little."
    )

    @classmethod
    def of(cls, found: Estimate | CannotSay | str) -> Self:
        match found:
            case Estimate():
                return cls(
                    value=found.value,
                    low=found.low,
                    high=found.high,
                    effective_sample=found.effective_sample,
                    clusters=found.clusters,
                )
            case CannotSay():
                return cls(
                    effective_sample=found.effective_sample,
                    clusters=found.clusters,
                    why="the log says too little",
                    more_decisions=found.more_decisions,
                )
            case why:
                return cls(why=why)


class PolicyValue(Body):
    """What a policy would have earned."""

    policy: str
    decisions: int = Field(description="Decisions that it was judged on.")
    answered: int = Field(description="Those of them with feedback.")
    ips: EstimateBody
    snips: EstimateBody
    dr: EstimateBody


class CrossedBody(Body):
    """Another generator, template or reward model than some of the decisions were made with."""

    what: Literal["generator", "template", "arm"]
    arm: str | None = Field(description="The arm that got another reward model.")
    position: int = Field(description="Of its event in the log.")
    created_at: float = Field(
        description="Unix seconds; as `since`, it leaves out what was decided before, not what was under way."
    )
    decisions_before: int = Field(
        description="Decisions drawn before it, of all that are read; a log position is judged on later ones."
    )


class EvaluationReport(Body):
    """Policies side by side, judged by the log."""

    policies: list[PolicyValue]
    logged: EstimateBody = Field(description="Of the answers that were returned.")
    answer_rates: dict[str, EstimateBody] = Field(
        description="Arm -> share of decisions with feedback, had it been drawn wherever it could be."
    )
    left_out: dict[str, int] = Field(description="Why -> decisions that tell nothing.")
    changes: list[CrossedBody] = Field(
        description="Since the first of the decisions: what was earned before is not what is earned now."
    )

    @classmethod
    def of(cls, report: Report) -> Self:
        return cls(
            policies=[
                PolicyValue(
                    policy=value.policy,
                    decisions=value.decisions,
                    answered=value.answered,
                    **{name: EstimateBody.of(found) for name, found in value.estimates.items()},
                )
                for value in report.values
            ],
            logged=EstimateBody.of(report.logged),
            answer_rates={arm: EstimateBody.of(rate) for arm, rate in report.answer_rates.items()},
            left_out=dict(report.left_out),
            changes=[CrossedBody(**vars(crossed)) for crossed in report.changes],
        )
