"""Bodies of the answers of ``/policy`` and ``/policies/evaluate``."""

from typing import Any, Literal, Self

from pydantic import Field

from laserve.api.bodies.base import Body
from laserve.bandit.offpolicy.estimators import CannotSay, Estimate
from laserve.history.offpolicy import Report


class PolicyArm(Body):
    """One arm in the state of the policy."""

    name: str = Field(description="Name of the arm.")
    pulls: int = Field(description="Learned decisions whose answer the arm chose.")
    updates: int = Field(description="Rewards that the arm has learned.")
    mean_reward: float | None = Field(description="Average of the rewards that the arm has learned.")
    theta: list[float] = Field(description="Learned weights, in the order of `context`.")
    fingerprint: str | None = Field(description="Fingerprint of its reward model in the log.")


class ChangeBody(Body):
    """A change of the generator, of its template, or of an arm's reward model."""

    what: Literal["generator", "template", "arm"] = Field(description="The part that changed.")
    arm: str | None = Field(description="Arm whose reward model changed; null for the others.")
    before: str | None = Field(description="Fingerprint before the change.")
    after: str = Field(description="Fingerprint after the change.")
    kept: float = Field(description="Share of the learned state that was kept, 0 to 1.")
    position: int = Field(description="Log position of the change.")
    decisions: int = Field(description="Decisions learned before the change.")


class RewardScale(Body):
    """Quantiles by which rewards are scaled before they are learned."""

    low: float = Field(description="20% quantile of the rewards, learned as 0.")
    high: float = Field(description="80% quantile of the rewards, learned as 1.")


class PolicyBody(Body):
    """The policy, its parameters and its learned state."""

    name: str = Field(description="Name of the policy.")
    parameters: dict[str, Any] = Field(description="The settings under `policy`, but for the name.")
    context: list[str] = Field(description="Names of the features.")
    log_position: int = Field(description="Position of the last learned event in the log.")
    digest: str = Field(description="SHA-256 of the learned state.")
    decisions: int = Field(description="Decisions learned.")
    learn_from: str | None = Field(description="Kind of feedback that the policy learns from.")
    reward_scale: RewardScale | None = Field(
        description="Null if rewards are learned unscaled, as always without `policy.reward_scaling`."
    )
    fingerprints: dict[str, str] = Field(description="Fingerprints of `generator` and `template` in the log.")
    changes: list[ChangeBody] = Field(description="The latest 20 changes, newest first.")
    arms: list[PolicyArm] = Field(description="The arms that the log has.")


class EstimateBody(Body):
    """A mean reward with its 95% interval, or the reason why there is no estimate."""

    value: float | None = Field(None, description="Estimate of the mean reward, 0 to 1.")
    low: float | None = Field(None, description="Lower end of the 95% interval.")
    high: float | None = Field(None, description="Upper end of the 95% interval.")
    effective_sample: float | None = Field(None, description="(sum w)^2 / sum w^2, in decisions.")
    clusters: int | None = Field(None, description="Number of independent sources of the decisions.")
    why: str | None = Field(None, description="Reason why there is no estimate; null if `value` is given.")
    more_decisions: int | None = Field(
        None, description="Approximate number of further decisions needed, if the log has too few."
    )

    @classmethod
    def of(cls, estimate: Estimate | CannotSay | str) -> Self:
        match estimate:
            case Estimate():
                return cls(
                    value=estimate.value,
                    low=estimate.low,
                    high=estimate.high,
                    effective_sample=estimate.effective_sample,
                    clusters=estimate.clusters,
                )
            case CannotSay():
                return cls(
                    effective_sample=estimate.effective_sample,
                    clusters=estimate.clusters,
                    why="the log says too little",
                    more_decisions=estimate.more_decisions,
                )
            case why:
                return cls(why=why)


class PolicyValue(Body):
    """Estimates of the mean reward that one policy would have earned."""

    policy: str = Field(description="The policy, as the request names it.")
    decisions: int = Field(description="Logged decisions that the policy was evaluated on.")
    answered: int = Field(description="Decisions with feedback among `decisions`.")
    ips: EstimateBody = Field(description="Estimate by inverse propensity scores.")
    snips: EstimateBody = Field(description="Estimate by self-normalised inverse propensity scores.")
    dr: EstimateBody = Field(description="Doubly robust estimate.")


class CrossedBody(Body):
    """A change of generator, template or reward model after some of the evaluated decisions."""

    what: Literal["generator", "template", "arm"] = Field(description="The part that changed.")
    arm: str | None = Field(description="Arm whose reward model changed; null for the others.")
    position: int = Field(description="Log position of the change.")
    created_at: float = Field(
        description="Unix seconds; as `since`, it leaves out earlier decisions, not requests under way then."
    )
    decisions_before: int = Field(
        description="Decisions read from the log that were drawn before the change; a policy given by a log "
        "position is evaluated only on decisions after that position."
    )


class EvaluationReport(Body):
    """An off-policy evaluation of several policies."""

    policies: list[PolicyValue] = Field(description="The policies, in the order of the request.")
    logged: EstimateBody = Field(description="Mean reward of the returned answers.")
    answer_rates: dict[str, EstimateBody] = Field(
        description="Arm -> share of decisions with feedback if the arm were drawn wherever possible."
    )
    left_out: dict[str, int] = Field(description="Reason -> decisions left out for it.")
    changes: list[CrossedBody] = Field(
        description="Changes since the first evaluated decision; earlier rewards may not hold after them."
    )

    @classmethod
    def of(cls, report: Report) -> Self:
        return cls(
            policies=[
                PolicyValue(
                    policy=value.policy,
                    decisions=value.decisions,
                    answered=value.answered,
                    **{name: EstimateBody.of(estimate) for name, estimate in value.estimates.items()},
                )
                for value in report.values
            ],
            logged=EstimateBody.of(report.logged),
            answer_rates={arm: EstimateBody.of(rate) for arm, rate in report.answer_rates.items()},
            left_out=dict(report.left_out),
            changes=[CrossedBody(**vars(crossed)) for crossed in report.changes],
        )
