"""What the service answers. Frozen; fields that a newer service adds are left out."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

from laserve_client._errors import APIError, from_detail


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """Base of what is read from a JSON object."""

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """From a JSON object; raises TypeError, ValueError, KeyError or AttributeError when it is not one."""
        return cls(**cls._values(body))

    @classmethod
    def _values(cls, body: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments of the constructor; those that are answers themselves are read."""
        return {one.name: body[one.name] for one in fields(cls) if one.name in body}


@dataclass(frozen=True, kw_only=True)
class Candidate(_Answer):
    """One sampled completion."""

    #: Position among the candidates, from 0. A streamed one keeps the position that it was asked for; a
    #: decision numbers those that finished in time, so the two differ where ``timeout_s`` left some out.
    index: int
    #: None in a stored decision whose texts are not kept; a hash where only hashes are.
    text: str | None
    #: Why it ended: ``stop`` or ``length``.
    finish_reason: str
    #: Sampled tokens.
    tokens: int
    #: Sum of the model's log-probabilities, before temperature, in nats.
    logprob: float
    #: By the arm that chose; None in a stream, and where that arm gave no finite one.
    score: float | None = None


@dataclass(frozen=True, kw_only=True)
class Why(_Answer):
    """What the policy saw in one arm when it chose."""

    arm: str
    #: Predicted reward.
    mean: float
    #: Uncertainty of the prediction.
    width: float
    #: Chance of being drawn, 0..1.
    probability: float


@dataclass(frozen=True, kw_only=True)
class Usage(_Answer):
    """Tokens read and sampled."""

    prompt_tokens: int
    #: Over all candidates.
    completion_tokens: int
    total_tokens: int


@dataclass(frozen=True, kw_only=True)
class Decision(_Answer):
    """The best of the candidates, and all that explains the choice."""

    #: Names the decision in feedback.
    decision_id: str
    #: The returned candidate's; None in a stored decision whose texts are not kept.
    text: str | None
    #: Of the returned candidate.
    index: int
    #: Arm that was drawn, or pinned.
    arm: str
    #: Arm whose scores chose; None when every arm failed.
    scored_by: str | None
    policy: str
    #: Chance with which ``arm`` was drawn, in (0, 1]; None when it was pinned.
    propensity: float | None
    #: Of the returned candidate, by ``scored_by``; None when every arm failed.
    score: float | None
    #: All candidates; None where the request left them out.
    candidates: tuple[Candidate, ...] | None
    why: tuple[Why, ...]
    usage: Usage
    #: Seconds by stage.
    timings: Mapping[str, float]
    #: Whether documents were cut to fit the model.
    truncated: bool
    #: What fell short, such as an arm that failed; empty when nothing did.
    degraded: tuple[str, ...]

    @classmethod
    def _values(cls, body: Mapping[str, Any]) -> dict[str, Any]:
        candidates = body["candidates"]
        return super()._values(body) | {
            "candidates": None
            if candidates is None
            else tuple(Candidate.read({"index": place} | one) for place, one in enumerate(candidates)),
            "why": tuple(Why.read(one) for one in body["why"]),
            "usage": Usage.read(body["usage"]),
            "degraded": tuple(body["degraded"]),
        }


@dataclass(frozen=True, kw_only=True)
class StoredFeedback(_Answer):
    """One feedback on a stored decision, or the default in its place."""

    #: In the event log, from 1.
    position: int
    learned: bool
    #: Of the returned answer, 0..1 whatever range it was sent in.
    reward: float | None
    #: Unix seconds.
    created_at: float
    #: What the client said, as it was said, with ``reward_range`` where that was not 0..1; or
    #: ``default_reward``, 0..1; None once it is not kept.
    body: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class StoredDecision(Decision):
    """A decision as it was logged, and the feedback on it."""

    #: Unix seconds.
    created_at: float
    #: Position of the event log that the policy's state stood at.
    log_position: int
    task: str | None
    #: As it was sampled, defaults filled in.
    sampling: Mapping[str, Any]
    #: What was asked; None once it is not kept.
    request: Mapping[str, Any] | None
    metadata: Mapping[str, Any]
    #: Each arm that scored the request -> index of the candidate it would have returned.
    choices: Mapping[str, int]
    #: Each arm that scored the request -> its score of each candidate.
    scores: Mapping[str, tuple[float | None, ...]]
    #: Whether all arms were to score it, whichever was drawn.
    shadowed: bool
    #: Arm that the policy would have drawn, where it is only observed.
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
    """What became of a feedback. It is on disk."""

    #: ``late`` is recorded as well, after the feedback window had closed; ``duplicate`` where it had come
    #: before, as after a repeat by the client itself.
    status: Literal["recorded", "late", "duplicate"]
    #: Whether the policy learned from it.
    learned: bool
    #: Of the returned answer, 0..1 whatever range it was sent in.
    reward: float | None = None


@dataclass(frozen=True, kw_only=True)
class BatchOutcome(_Answer):
    """What became of one feedback of a batch."""

    #: Place in the batch, 1 for the first.
    line: int
    status: Literal["recorded", "late", "duplicate", "error"]
    #: Whether the policy learned from it; None where it was refused.
    learned: bool | None = None
    #: Of the returned answer, 0..1; None where it was refused.
    reward: float | None = None
    #: Why it was refused, not raised; None where it was not.
    error: APIError | None = None

    @classmethod
    def _values(cls, body: Mapping[str, Any]) -> dict[str, Any]:
        error = body.get("error")
        return super()._values(body) | {"error": None if error is None else from_detail(error)}


@dataclass(frozen=True, kw_only=True)
class _Learned(_Answer):
    """What was learned of one arm."""

    name: str
    #: Learned decisions whose answer it chose.
    pulls: int
    #: Rewards learned.
    updates: int
    #: Average of those rewards, 0..1; None before the first.
    mean_reward: float | None


@dataclass(frozen=True, kw_only=True)
class Arm(_Learned):
    """One reward model."""

    kind: str
    state: Literal["loading", "ready", "failed", "open", "half-open", "draining", "retired"]
    #: Why it failed, if it did.
    error: str | None
    #: Whether it scores every request, whoever is chosen.
    free: bool
    #: Whether its model is in memory; True of a service that does not tell.
    loaded: bool = True


@dataclass(frozen=True, kw_only=True)
class PolicyArm(_Learned):
    """What the policy holds of one arm."""

    #: Learned weights, in the order of the policy's ``context``.
    theta: tuple[float, ...]
    #: Of its reward model, as the log knows it; None also of a service that does not tell.
    fingerprint: str | None = None

    @classmethod
    def _values(cls, body: Mapping[str, Any]) -> dict[str, Any]:
        return super()._values(body) | {"theta": tuple(body["theta"])}


@dataclass(frozen=True, kw_only=True)
class Change(_Answer):
    """Another generator, template or reward model than before."""

    what: Literal["generator", "template", "arm"]
    #: The arm that got another reward model; None for the others.
    arm: str | None
    #: Fingerprints.
    before: str | None
    after: str
    #: Share of what was learned that was kept, in [0, 1].
    kept: float
    #: Of its event in the log.
    position: int
    #: Decisions learned before it.
    decisions: int


@dataclass(frozen=True, kw_only=True)
class RewardScale(_Answer):
    """Quantiles that rewards are scaled by before they are learned."""

    #: 20% quantile, learned as 0.
    low: float
    #: 80% quantile, learned as 1.
    high: float


@dataclass(frozen=True, kw_only=True)
class PolicyState(_Answer):
    """The policy and what it has learned."""

    name: str
    parameters: Mapping[str, Any]
    #: Names of the features.
    context: tuple[str, ...]
    #: Of the event log.
    log_position: int
    #: SHA-256 of the state, in hexadecimal.
    digest: str
    #: Learned decisions.
    decisions: int
    #: Kind of feedback that teaches; None before the first.
    learn_from: str | None
    arms: tuple[PolicyArm, ...]
    #: Of ``generator`` and ``template``, as the log knows them; empty also of a service that does not tell.
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    #: The latest 20, newest first.
    changes: tuple[Change, ...] = ()
    #: None where rewards are learned as they are.
    reward_scale: RewardScale | None = None

    @classmethod
    def _values(cls, body: Mapping[str, Any]) -> dict[str, Any]:
        arms = tuple(PolicyArm.read(one) for one in body["arms"])
        changes = tuple(Change.read(one) for one in body.get("changes", ()))
        scale = body.get("reward_scale")
        told = {
            "context": tuple(body["context"]),
            "arms": arms,
            "changes": changes,
            "reward_scale": RewardScale.read(scale) if scale else None,
        }
        return super()._values(body) | told


@dataclass(frozen=True, kw_only=True)
class Readiness(_Answer):
    """Whether requests are served, and what is missing."""

    status: Literal["ready", "loading", "restarting", "failed"]
    store: str
    generator: str
    #: Arm -> its state, as in `Arm`.
    arms: Mapping[str, str] = field(default_factory=dict)
    #: Part -> why it does not serve now.
    why: Mapping[str, str] = field(default_factory=dict)
