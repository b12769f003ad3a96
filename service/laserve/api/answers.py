"""What goes back over HTTP."""

from typing import Any, Literal, Self

from pydantic import Field

from laserve.api.schemas import Body
from laserve.bandit.offpolicy import CannotSay, Estimate
from laserve.selection.evaluating import Report
from laserve.types import Candidate, Decision


class CandidateBody(Body):
    """One candidate."""

    text: str | None = Field(description="None where the text is not kept.")
    score: float | None = Field(description="By the arm that chose; None where it gave no finite one.")
    finish_reason: str
    tokens: int
    logprob: float = Field(description="Sum of raw log-probabilities, in nats.")


class WhyBody(Body):
    """What the policy saw in one arm."""

    arm: str
    mean: float = Field(description="Predicted reward.")
    width: float = Field(description="Uncertainty, sqrt(x' A^-1 x).")
    probability: float = Field(description="Chance of being drawn.")


class UsageBody(Body):
    """Tokens read and sampled."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class DecisionBody(Body):
    """The answer, and all that explains it."""

    decision_id: str
    text: str | None
    index: int = Field(description="Of the returned candidate.")
    arm: str = Field(description="Arm that was drawn (or pinned).")
    scored_by: str | None = Field(description="Arm whose scores chose; None when every arm failed.")
    policy: str
    propensity: float | None = Field(description="Chance with which `arm` was drawn; None when pinned.")
    score: float | None
    candidates: list[CandidateBody] | None
    why: list[WhyBody]
    usage: UsageBody
    timings: dict[str, float] = Field(description="Seconds by stage.")
    truncated: bool = Field(
        description="Whether documents were cut to fit the generator or the arm that scored."
    )
    degraded: list[str] = Field(description="What fell short, if anything.")

    @classmethod
    def of(cls, decision: Decision, *, candidates: bool = True) -> Self:
        known = decision.retention != "none"
        scores = decision.scores.get(decision.scored_by or "", (None,) * len(decision.candidates))
        generated = sum(candidate.tokens for candidate in decision.candidates)
        return cls(
            decision_id=decision.id,
            text=decision.text if known else None,
            index=decision.index,
            arm=decision.arm,
            scored_by=decision.scored_by,
            policy=decision.policy,
            propensity=decision.propensity,
            score=decision.score,
            candidates=[
                CandidateBody(
                    text=candidate.text if known else None,
                    score=score,
                    finish_reason=candidate.finish_reason,
                    tokens=candidate.tokens,
                    logprob=candidate.logprob,
                )
                for candidate, score in zip(decision.candidates, scores, strict=True)
            ]
            if candidates
            else None,
            why=[WhyBody(**vars(why)) for why in decision.why],
            usage=UsageBody(
                prompt_tokens=decision.prompt_tokens,
                completion_tokens=generated,
                total_tokens=decision.prompt_tokens + generated,
            ),
            timings=dict(decision.timings),
            truncated=decision.truncated,
            degraded=list(decision.degraded),
        )


class CandidateEvent(Body):
    """A candidate as it finishes, before it is scored."""

    index: int
    text: str
    finish_reason: str
    tokens: int
    logprob: float

    @classmethod
    def of(cls, candidate: Candidate) -> Self:
        return cls(**vars(candidate))


class FeedbackAnswer(Body):
    """What became of a feedback. It is on disk."""

    status: Literal["recorded", "late", "duplicate"] = Field(
        description="`late` is recorded as well, after the feedback window had closed."
    )
    learned: bool = Field(description="Whether the policy learned from it.")
    reward: float | None = Field(
        description="Reward of the returned answer, 0 to 1 whatever `feedback.reward_range` is."
    )


class ErrorDetail(Body):
    """What went wrong."""

    type: str
    code: str
    message: str
    param: str | None


class ErrorBody(Body):
    """Every error."""

    error: ErrorDetail


class LineAnswer(Body):
    """The answer to one line of a batch: a feedback's, or an error."""

    line: int = Field(description="1 for the first.")
    status: Literal["recorded", "late", "duplicate", "error"]
    learned: bool | None = None
    reward: float | None = None
    error: ErrorDetail | None = None


class StoredFeedbackBody(Body):
    """A feedback on a decision, or the default in its place."""

    position: int
    learned: bool
    reward: float | None = Field(
        description="Reward of the returned answer, 0 to 1 whatever `feedback.reward_range` is."
    )
    created_at: float
    body: dict[str, Any] | None = Field(
        description="What the client said, as it was said, with `reward_range` where that was not 0 to 1; or "
        "`default_reward`, 0 to 1; None once it is not kept."
    )


class StoredDecision(DecisionBody):
    """A decision as it was logged."""

    created_at: float
    log_position: int = Field(description="Position of the state that chose.")
    task: str | None
    sampling: dict[str, Any]
    request: dict[str, Any] | None
    metadata: dict[str, Any]
    choices: dict[str, int] = Field(description="Arm -> the candidate it would have returned.")
    scores: dict[str, list[float | None]] = Field(description="Arm -> its scores.")
    shadowed: bool = Field(description="Whether all arms were to score it, whichever was drawn.")
    preferred: str | None = Field(
        description="Arm that the policy would have drawn, where `policy.mode` is `observe`."
    )
    feedback: list[StoredFeedbackBody]


class ArmBody(Body):
    """One arm."""

    name: str
    kind: str
    state: Literal["loading", "ready", "failed", "open", "half-open", "draining", "retired"] = Field(
        description="`open` and `half-open`: its circuit, after failures in a row."
    )
    error: str | None = Field(description="Why it did not load, or last failed.")
    free: bool = Field(description="Scores every request, whoever is chosen.")
    loaded: bool = Field(description="Whether its model is in memory and passed its test.")
    pulls: int = Field(description="Learned decisions whose answer it chose.")
    updates: int = Field(description="Rewards learned.")
    mean_reward: float | None = Field(description="Average of those rewards.")


class ArmsBody(Body):
    """All arms."""

    arms: list[ArmBody]


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


class Health(Body):
    """Whether the process lives."""

    status: Literal["ok"]


class Readiness(Body):
    """Whether requests are served, and what is missing."""

    status: Literal["ready", "loading", "restarting", "failed"]
    store: str
    generator: str
    arms: dict[str, str]
    why: dict[str, str] = Field(description="Part -> why it does not serve now.")
