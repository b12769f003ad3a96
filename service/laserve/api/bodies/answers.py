"""Bodies of answers: decisions, feedback, errors, arms and health."""

from typing import Any, Literal, Self

from pydantic import Field

from laserve.api.bodies.base import Body
from laserve.types import Candidate, Decision


class CandidateBody(Body):
    """One candidate."""

    text: str | None = Field(description="Null if the text is not kept.")
    score: float | None = Field(description="Score by the arm in `scored_by`; null if it is not finite.")
    finish_reason: str = Field(
        description="`stop`: it ended by itself or at a stop text; `length`: it was cut."
    )
    tokens: int = Field(description="Number of tokens.")
    logprob: float = Field(description="Sum of raw log-probabilities, in nats.")


class WhyBody(Body):
    """The policy's view of one arm at this decision."""

    arm: str = Field(description="Name of the arm.")
    mean: float = Field(description="Predicted reward.")
    width: float = Field(description="Uncertainty of the prediction, sqrt(x' A^-1 x).")
    probability: float = Field(description="Probability of being drawn.")


class UsageBody(Body):
    """Numbers of tokens read and sampled."""

    prompt_tokens: int = Field(description="Tokens of the prompt.")
    completion_tokens: int = Field(description="Tokens of all candidates.")
    total_tokens: int = Field(description="Sum of the two.")


class DecisionBody(Body):
    """A decision: the returned answer, and the data that explains the choice."""

    decision_id: str = Field(description="Id of the decision, which feedback names.")
    text: str | None = Field(description="The returned candidate's text; null if it is not kept.")
    index: int = Field(description="Index of the returned candidate.")
    arm: str = Field(description="Arm that was drawn or pinned.")
    scored_by: str | None = Field(
        description="Arm whose scores chose the candidate; null if every arm failed."
    )
    policy: str = Field(description="Name of the policy that drew the arm.")
    propensity: float | None = Field(
        description="Probability with which `arm` was drawn; null if it was pinned."
    )
    score: float | None = Field(description="Score of the returned candidate; null if every arm failed.")
    candidates: list[CandidateBody] | None = Field(
        description="All candidates; null with `return_candidates` false."
    )
    why: list[WhyBody] = Field(description="The policy's view of each arm that could be drawn.")
    usage: UsageBody = Field(description="Numbers of tokens.")
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

    type: str = Field(description="Kind of error.")
    code: str = Field(description="The error, for programs.")
    message: str = Field(description="What is wrong, for people.")
    param: str | None = Field(description="Field or parameter that caused it; null if none did.")


class ErrorBody(Body):
    """The body of every error."""

    error: ErrorDetail = Field(description="The error.")


class LineAnswer(Body):
    """The answer to one line of a batch: the outcome of its feedback, or an error."""

    line: int = Field(description="Number of the line, from 1.")
    status: Literal["recorded", "late", "duplicate", "error"]
    learned: bool | None = None
    reward: float | None = None
    error: ErrorDetail | None = None


class StoredFeedbackBody(Body):
    """A feedback on a decision, or the default reward of the decision."""

    position: int = Field(description="Position of its event in the log.")
    learned: bool = Field(description="Whether the policy learned from it.")
    reward: float | None = Field(
        description="Reward of the returned answer, 0 to 1 whatever `feedback.reward_range` is."
    )
    created_at: float = Field(description="Unix seconds.")
    body: dict[str, Any] | None = Field(
        description="The body as the client sent it, with `reward_range` unless that was 0 to 1; or "
        "`default_reward`, 0 to 1; null if it is not kept."
    )


class StoredDecision(DecisionBody):
    """A decision as it was logged."""

    created_at: float = Field(description="Unix seconds.")
    log_position: int = Field(description="Log position of the state that the policy chose by.")
    task: str | None = Field(description="Task of the request.")
    sampling: dict[str, Any] = Field(description="Sampling parameters, defaults included.")
    request: dict[str, Any] | None = Field(description="Prompt, messages or question; null if not kept.")
    metadata: dict[str, Any] = Field(description="As the request gave it, if it is kept.")
    choices: dict[str, int] = Field(description="Arm -> index of the candidate that it would have returned.")
    scores: dict[str, list[float | None]] = Field(
        description="Arm -> its scores, in the order of the candidates."
    )
    shadowed: bool = Field(description="Whether the request was selected for scoring by all arms.")
    preferred: str | None = Field(
        description="Arm that the policy would have drawn, if `policy.mode` is `observe`."
    )
    feedback: list[StoredFeedbackBody] = Field(description="Feedback on it, oldest first.")


class ArmBody(Body):
    """One arm."""

    name: str = Field(description="Name of the arm.")
    kind: str = Field(description="Kind of its reward model.")
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

    arms: list[ArmBody] = Field(description="The arms, in the order in which they came.")


class Health(Body):
    """Whether the process is alive."""

    status: Literal["ok"] = Field(description="Always `ok`.")


class Readiness(Body):
    """Whether requests are served, and the state of each part."""

    status: Literal["ready", "loading", "restarting", "failed"] = Field(description="State of the service.")
    store: str = Field(description="State of the database.")
    generator: str = Field(description="State of the generator.")
    arms: dict[str, str] = Field(description="Arm -> its state, as in `GET /arms`.")
    why: dict[str, str] = Field(description="Part -> reason why it does not serve now.")
