"""Answers of the service, as frozen dataclasses; fields that a newer service adds are ignored."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

from laserve_client._errors import APIError, from_detail


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """Base of the answers that are read from a JSON object."""

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """The answer in a JSON object; raises TypeError, ValueError, KeyError or AttributeError otherwise."""
        return cls(**cls._values(body))

    @classmethod
    def _values(cls, body: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments of the constructor, with nested answers already read."""
        return {one.name: body[one.name] for one in fields(cls) if one.name in body}


@dataclass(frozen=True, kw_only=True)
class Candidate(_Answer):
    """One sampled completion."""

    #: Position among the candidates, from 0. A streamed candidate keeps its position in the request; a
    #: decision numbers the candidates that finished in time, so the positions differ where ``timeout_s``
    #: left some out.
    index: int
    #: None in a stored decision whose texts are not kept; a hash where only hashes are.
    text: str | None
    #: Reason of its end: ``stop`` or ``length``.
    finish_reason: str
    #: Number of sampled tokens.
    tokens: int
    #: Sum of the model's log-probabilities, before temperature, in nats.
    logprob: float
    #: Score by the arm that chose; None in a stream, and where that arm gave no finite score.
    score: float | None = None


@dataclass(frozen=True, kw_only=True)
class Why(_Answer):
    """The policy's view of one arm at a decision."""

    arm: str
    #: Predicted reward.
    mean: float
    #: Uncertainty of the prediction.
    width: float
    #: Chance of being drawn, 0..1.
    probability: float


@dataclass(frozen=True, kw_only=True)
class Usage(_Answer):
    """Numbers of tokens read and sampled."""

    prompt_tokens: int
    #: Over all candidates.
    completion_tokens: int
    total_tokens: int


@dataclass(frozen=True, kw_only=True)
class Decision(_Answer):
    """The best of the candidates, and the data that explain the choice."""

    #: Id of the decision, for feedback.
    decision_id: str
    #: Text of the returned candidate; None in a stored decision whose texts are not kept.
    text: str | None
    #: Index of the returned candidate.
    index: int
    #: Arm that was drawn, or pinned.
    arm: str
    #: Arm whose scores chose; None when every arm failed.
    scored_by: str | None
    policy: str
    #: Chance with which ``arm`` was drawn, in (0, 1]; None when it was pinned.
    propensity: float | None
    #: Score of the returned candidate by ``scored_by``; None when every arm failed.
    score: float | None
    #: All candidates; None where the request left them out.
    candidates: tuple[Candidate, ...] | None
    why: tuple[Why, ...]
    usage: Usage
    #: Seconds by stage.
    timings: Mapping[str, float]
    #: Whether documents were cut to fit the model.
    truncated: bool
    #: Shortcomings, for example an arm that failed; empty without any.
    degraded: tuple[str, ...]

    @classmethod
    def _values(cls, body: Mapping[str, Any]) -> dict[str, Any]:
        candidates = body["candidates"]
        return super()._values(body) | {
            "candidates": None
            if candidates is None
            else tuple(Candidate.read({"index": index} | one) for index, one in enumerate(candidates)),
            "why": tuple(Why.read(one) for one in body["why"]),
            "usage": Usage.read(body["usage"]),
            "degraded": tuple(body["degraded"]),
        }


@dataclass(frozen=True, kw_only=True)
class StoredFeedback(_Answer):
    """One feedback on a stored decision, or a default reward that was learned without feedback."""

    #: Position in the event log, from 1.
    position: int
    learned: bool
    #: Reward of the returned answer, 0..1 whatever range it was sent in.
    reward: float | None
    #: Unix seconds.
    created_at: float
    #: Body as the client sent it, with ``reward_range`` where that was not 0..1; or
    #: ``default_reward``, 0..1; None once the body is no longer kept.
    body: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class StoredDecision(Decision):
    """A decision as it was logged, with its feedback."""

    #: Unix seconds.
    created_at: float
    #: Log position of the policy's state at the draw.
    log_position: int
    task: str | None
    #: Sampling parameters, defaults filled in.
    sampling: Mapping[str, Any]
    #: The request; None once it is no longer kept.
    request: Mapping[str, Any] | None
    metadata: Mapping[str, Any]
    #: Each arm that scored the request -> index of the candidate it would have returned.
    choices: Mapping[str, int]
    #: Each arm that scored the request -> its score of each candidate.
    scores: Mapping[str, tuple[float | None, ...]]
    #: Whether all arms were to score the request, whichever arm was drawn.
    shadowed: bool
    #: Arm that the policy would have drawn, where the policy is only observed.
    preferred: str | None
    feedback: tuple[StoredFeedback, ...]

    @classmethod
    def _values(cls, body: Mapping[str, Any]) -> dict[str, Any]:
        return super()._values(body) | {
            "scores": {arm: tuple(scores) for arm, scores in body["scores"].items()},
            "feedback": tuple(StoredFeedback.read(one) for one in body["feedback"]),
        }


@dataclass(frozen=True, kw_only=True)
class FeedbackOutcome(_Answer):
    """Result of a feedback, which is on disk."""

    #: ``late`` feedback is recorded too; it came after the feedback window had closed. ``duplicate``: the
    #: feedback had come before, for example when the client sent it again.
    status: Literal["recorded", "late", "duplicate"]
    #: Whether the policy learned from it.
    learned: bool
    #: Reward of the returned answer, 0..1 whatever range it was sent in.
    reward: float | None = None


@dataclass(frozen=True, kw_only=True)
class BatchOutcome(_Answer):
    """Result of one feedback of a batch."""

    #: Line number in the batch, from 1.
    line: int
    status: Literal["recorded", "late", "duplicate", "error"]
    #: Whether the policy learned from it; None for a refused feedback.
    learned: bool | None = None
    #: Reward of the returned answer, 0..1; None for a refused feedback.
    reward: float | None = None
    #: Error of a refused feedback, which is not raised; None for the others.
    error: APIError | None = None

    @classmethod
    def _values(cls, body: Mapping[str, Any]) -> dict[str, Any]:
        error = body.get("error")
        return super()._values(body) | {"error": None if error is None else from_detail(error)}


@dataclass(frozen=True, kw_only=True)
class _Learned(_Answer):
    """Learned statistics of one arm."""

    name: str
    #: Number of learned decisions whose answer the arm chose.
    pulls: int
    #: Number of rewards learned.
    updates: int
    #: Average of those rewards, 0..1; None before the first.
    mean_reward: float | None


@dataclass(frozen=True, kw_only=True)
class Arm(_Learned):
    """One reward model."""

    kind: str
    state: Literal["loading", "ready", "failed", "open", "half-open", "draining", "retired"]
    #: Reason of its failure; None without a failure.
    error: str | None
    #: Whether it scores every request, whichever arm is drawn.
    free: bool
    #: Whether its model is in memory; True where an older service does not send it.
    loaded: bool = True


@dataclass(frozen=True, kw_only=True)
class PolicyArm(_Learned):
    """State of one arm in the policy."""

    #: Learned weights, in the order of the policy's ``context``.
    theta: tuple[float, ...]
    #: Fingerprint of its reward model in the log; None also where an older service does not send it.
    fingerprint: str | None = None

    @classmethod
    def _values(cls, body: Mapping[str, Any]) -> dict[str, Any]:
        return super()._values(body) | {"theta": tuple(body["theta"])}


@dataclass(frozen=True, kw_only=True)
class Change(_Answer):
    """Replacement of the generator, its template or a reward model."""

    what: Literal["generator", "template", "arm"]
    #: The arm whose reward model was replaced; None for the generator and the template.
    arm: str | None
    #: Fingerprint before; None where the log knew none.
    before: str | None
    #: Fingerprint after.
    after: str
    #: Share of the learned sums that was kept, in [0, 1].
    kept: float
    #: Position of its event in the log.
    position: int
    #: Number of decisions learned before the change.
    decisions: int


@dataclass(frozen=True, kw_only=True)
class RewardScale(_Answer):
    """Quantiles that scale rewards before they are learned."""

    #: 20% quantile, learned as 0.
    low: float
    #: 80% quantile, learned as 1.
    high: float


@dataclass(frozen=True, kw_only=True)
class PolicyState(_Answer):
    """The policy and its learned state."""

    name: str
    parameters: Mapping[str, Any]
    #: Names of the features.
    context: tuple[str, ...]
    #: Last position of the event log in the state.
    log_position: int
    #: SHA-256 of the state, in hexadecimal.
    digest: str
    #: Number of learned decisions.
    decisions: int
    #: Kind of feedback that teaches; None before the first feedback.
    learn_from: str | None
    arms: tuple[PolicyArm, ...]
    #: ``generator`` and ``template`` -> fingerprint in the log; empty also for an older service.
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    #: The latest 20 changes, newest first.
    changes: tuple[Change, ...] = ()
    #: Scale of rewards; None where rewards are learned unscaled.
    reward_scale: RewardScale | None = None

    @classmethod
    def _values(cls, body: Mapping[str, Any]) -> dict[str, Any]:
        arms = tuple(PolicyArm.read(one) for one in body["arms"])
        changes = tuple(Change.read(one) for one in body.get("changes", ()))
        scale = body.get("reward_scale")
        nested = {
            "context": tuple(body["context"]),
            "arms": arms,
            "changes": changes,
            "reward_scale": RewardScale.read(scale) if scale else None,
        }
        return super()._values(body) | nested


@dataclass(frozen=True, kw_only=True)
class Health(_Answer):
    """A sign of life of the process."""

    status: Literal["ok"]


@dataclass(frozen=True, kw_only=True)
class Readiness(_Answer):
    """Whether requests are served, and the missing parts."""

    status: Literal["ready", "loading", "restarting", "failed"]
    store: str
    generator: str
    #: Arm -> its state, as in `Arm`.
    arms: Mapping[str, str] = field(default_factory=dict)
    #: Part -> reason why it does not serve now.
    why: Mapping[str, str] = field(default_factory=dict)
