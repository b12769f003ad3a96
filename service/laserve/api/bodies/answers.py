"""Bodies of answers: decisions, feedback, errors, arms and health."""

from typing import Any, Literal, Self

from pydantic import Field

from laserve.api.bodies.base import Body
from laserve.types import Candidate, Decision


class CandidateBody(Body):
    """One candidate."""

    text: str | None = Field(description="Null if the text is not kept.")
    score: float | None = Field(description="Score by the arm in `scored_by`; null if it is not finite.")
    finish_reason: str
    tokens: int
    logprob: float = Field(description="Sum of raw log-probabilities, in nats.")


class WhyBody(Body):
    """The policy's view of one arm at this decision."""

    arm: str
    mean: float = Field(description="Predicted reward.")
    width: float = Field(description="Uncertainty of the prediction, sqrt(x' A^-1 x).")
    probability: float = Field(description="Probability of being drawn.")


class UsageBody(Body):
    """Numbers of tokens read and sampled."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class DecisionBody(Body):
    """A decision: the returned answer, and the data that explains the choice."""

    decision_id: str
    text: str | None
    index: int = Field(description="Index of the returned candidate.")
    arm: str = Field(description="Arm that was drawn or pinned.")
    scored_by: str | None = Field(
        description="Arm whose scores chose the candidate; null if every arm failed."
    )
    policy: str
    propensity: float | None = Field(
        description="Probability with which `arm` was drawn; null if it was pinned."
    )
    score: float | None
    candidates: list[CandidateBody] | None
    why: list[WhyBody]
    usage: UsageBody
    timings: dict[str, float] = Field(description="Seconds by stage.")
    truncated: bool = Field(
        description="Whether documents were cut to fit the generator or the arm that scored."
    )
    degraded: list[str] = Field(
        description="Shortfalls, such as a failed arm or unfinished candidates; empty if there are none."
    )

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
    """A candidate that has finished and is not scored yet."""

    index: int
    text: str
    finish_reason: str
    tokens: int
    logprob: float

    @classmethod
    def of(cls, candidate: Candidate) -> Self:
        return cls(**vars(candidate))


class FeedbackAnswer(Body):
    """The outcome of a feedback, which is on disk."""

    status: Literal["recorded", "late", "duplicate"] = Field(
        description="`late`: recorded after the feedback window had closed; `duplicate`: recorded before."
    )
    learned: bool = Field(description="Whether the policy learned from it.")
    reward: float | None = Field(
        description="Reward of the returned answer, 0 to 1 whatever `feedback.reward_range` is."
    )


class ErrorDetail(Body):
    """An error: its type and code, its message, and the field or parameter that caused it."""

    type: str
    code: str
    message: str
    param: str | None


class ErrorBody(Body):
    """The body of every error."""

    error: ErrorDetail


class LineAnswer(Body):
    """The answer to one line of a batch: the outcome of its feedback, or an error."""

    line: int = Field(description="Number of the line, from 1.")
    status: Literal["recorded", "late", "duplicate", "error"]
    learned: bool | None = None
    reward: float | None = None
    error: ErrorDetail | None = None


class StoredFeedbackBody(Body):
    """A feedback on a decision, or the default reward of the decision."""

    position: int
    learned: bool
    reward: float | None = Field(
        description="Reward of the returned answer, 0 to 1 whatever `feedback.reward_range` is."
    )
    created_at: float
    body: dict[str, Any] | None = Field(
        description="The body as the client sent it, with `reward_range` unless that was 0 to 1; or "
        "`default_reward`, 0 to 1; null if it is not kept."
    )


class StoredDecision(DecisionBody):
    """A decision as it was logged."""

    created_at: float
    log_position: int = Field(description="Log position of the state that the policy chose by.")
    task: str | None
    sampling: dict[str, Any]
    request: dict[str, Any] | None
    metadata: dict[str, Any]
    choices: dict[str, int] = Field(description="Arm -> index of the candidate that it would have returned.")
    scores: dict[str, list[float | None]] = Field(
        description="Arm -> its scores, in the order of the candidates."
    )
    shadowed: bool = Field(description="Whether the request was selected for scoring by all arms.")
    preferred: str | None = Field(
        description="Arm that the policy would have drawn, if `policy.mode` is `observe`."
    )
    feedback: list[StoredFeedbackBody]


class ArmBody(Body):
    """One arm."""

    name: str
    kind: str
    state: Literal["loading", "ready", "failed", "open", "half-open", "draining", "retired"] = Field(
        description="`open` and `half-open` are states of the arm's circuit breaker, after failures in a row."
    )
    error: str | None = Field(description="Reason why it did not load, or of its last failure.")
    free: bool = Field(description="Whether the arm scores every request, whichever arm is drawn.")
    loaded: bool = Field(description="Whether its model is in memory and has passed the self-test.")
    pulls: int = Field(description="Learned decisions whose answer the arm chose.")
    updates: int = Field(description="Rewards that the arm has learned.")
    mean_reward: float | None = Field(description="Average of the rewards that the arm has learned.")


class ArmsBody(Body):
    """All arms."""

    arms: list[ArmBody]


class Health(Body):
    """Whether the process is alive."""

    status: Literal["ok"]


class Readiness(Body):
    """Whether requests are served, and the state of each part."""

    status: Literal["ready", "loading", "restarting", "failed"]
    store: str
    generator: str
    arms: dict[str, str]
    why: dict[str, str] = Field(description="Part -> reason why it does not serve now.")
