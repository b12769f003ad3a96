"""Bodies of answers: decisions, feedback, errors, arms and health."""

from typing import Any, Literal, Self

from pydantic import Field

from laserve.api.bodies.base import Body
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
