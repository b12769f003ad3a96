"""Values that pass through the stages: frozen, keyword-only, free of any framework."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

FeedbackKind = Literal["reward", "thumb", "chosen_index", "candidate_rewards", "references"]
ArmStatus = Literal["enabled", "draining", "retired"]
#: Kind, in the log, of a default reward, learned because no feedback had come in time.
DEFAULT = "default"
#: Policy, in a decision, of an arm that the client named.
PINNED = "pinned"


def task_label(task: str | None, declared: Collection[str]) -> str:
    """The task if it is declared, else ``other``; ``none`` for a request without a task."""
    if task is None:
        return "none"
    return task if task in declared else "other"


def task_labels(declared: Collection[str]) -> tuple[str, ...]:
    """All that `task_label` may give."""
    return (*declared, "other", "none")


@dataclass(frozen=True, kw_only=True)
class Document:
    """One source text of a question."""

    text: str
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Parameters of the sampling of candidates."""

    #: Number of candidates, 1..64.
    n: int
    #: Softmax temperature, 0..2; 0 is greedy and requires n = 1.
    temperature: float
    #: Nucleus mass in (0, 1].
    top_p: float
    #: Longest candidate, in tokens.
    max_tokens: int
    #: Texts that end a candidate; the candidate does not contain them.
    stop: tuple[str, ...] = ()
    #: Makes the candidates repeatable where the engine can.
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class Request:
    """A client's request: exactly one of ``prompt``, ``messages`` or ``question`` is set."""

    sampling: Sampling
    prompt: str | None = None
    messages: tuple[Message, ...] = ()
    question: str | None = None
    documents: tuple[Document, ...] = ()
    #: Pins this arm; a decision with a pinned arm has no propensity and teaches nothing.
    arm: str | None = None
    #: Policy for this request alone, for example ``random`` or ``fixed:loglik``.
    policy: str | None = None
    task: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    #: Attribute -> weight, for arms with several attributes; empty for each arm's own weights.
    attribute_weights: Mapping[str, float] = field(default_factory=dict)
    #: Seconds from arrival until the answer is chosen from the finished candidates.
    timeout_s: float

    @property
    def query(self) -> str:
        """Text of the task: the question, the last user message, or the prompt."""
        if self.question is not None:
            return self.question
        for message in reversed(self.messages):
            if message.role == "user":
                return message.content
        return self.prompt or ""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One sampled completion."""

    #: Position in the request, 0..n-1, independent of the order of finishing.
    index: int
    text: str
    #: Reason of its end: ``stop`` or ``length``.
    finish_reason: str
    #: Number of sampled tokens, the stop token included.
    tokens: int
    #: Sum over the sampled tokens of the model's raw log-probability (before temperature), in nats.
    logprob: float

    @property
    def mean_logprob(self) -> float:
        """``logprob`` per token; minus infinity without sampled tokens."""
        return self.logprob / self.tokens if self.tokens else -math.inf


@dataclass(frozen=True, kw_only=True)
class ArmWhy:
    """The policy's view of one arm at a decision."""

    arm: str
    #: Predicted reward, x . theta.
    mean: float
    #: Exploration bonus before alpha, sqrt(x' A^-1 x).
    width: float
    #: Chance of this arm to be drawn; the chances of a decision sum to one.
    probability: float


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One answered request, with all data to explain it, to replay it and to learn from feedback."""

    id: str
    #: Unix seconds by the clock of the process that answered.
    created_at: float
    #: Name of the request's API key; empty where no keys are configured.
    key: str
    policy: str
    #: Arm that the policy drew, or the client pinned.
    arm: str
    #: Probability with which the policy drew ``arm``; None when it was pinned.
    propensity: float | None
    #: Arm whose scores chose the answer; None when every arm failed.
    scored_by: str | None
    why: tuple[ArmWhy, ...]
    #: Log position of the policy's state at the draw.
    log_position: int
    #: Context, shape (d,), float64.
    x: Vector
    task: str | None
    sampling: Sampling
    #: Index of the returned candidate.
    index: int
    score: float | None
    #: Each arm that scored this request -> index of the candidate it would have returned.
    choices: Mapping[str, int]
    #: Each arm that scored this request -> its scores, shape (n,).
    scores: Mapping[str, tuple[float | None, ...]]
    #: For each candidate, the lowest index with the same text.
    same_text: tuple[int, ...]
    prompt_tokens: int
    truncated: bool
    degraded: tuple[str, ...]
    #: Seconds by stage.
    timings: Mapping[str, float]
    candidates: tuple[Candidate, ...]
    metadata: Mapping[str, Any]
    request: Mapping[str, Any] | None
    #: Form in which the texts are kept: ``full``, ``hash`` or ``none``.
    retention: str = "full"
    #: Unix seconds after which feedback is late; None where feedback is never late.
    closes_at: float | None = None
    #: Whether all arms were to score this request, whichever arm was drawn.
    shadowed: bool = False
    #: Arm that the policy would have drawn, where the policy is only observed.
    preferred: str | None = None
    #: Reward to learn at `closes_at` unless feedback has taught before, in [0, 1]; None without a default.
    default_reward: float | None = None

    @property
    def due_at(self) -> float | None:
        """Unix seconds at which the default reward is due; None without a default reward."""
        return None if self.default_reward is None else self.closes_at

    @property
    def unlearnable(self) -> Literal["pinned", "ensemble", "no_arm"] | None:
        """Reason why feedback on this decision teaches nothing; None if it may teach.

        ``pinned``: the client named the arm; ``ensemble``: a policy that uses all arms decided;
        ``no_arm``: no arm scored.
        """
        if self.propensity is None:
            return "pinned" if self.policy == PINNED else "ensemble"
        return "no_arm" if self.scored_by is None else None

    @property
    def learnable(self) -> bool:
        """Whether feedback on this decision may teach: a policy drew the arm, and some arm scored."""
        return self.unlearnable is None

    @property
    def text(self) -> str:
        return self.candidates[self.index].text


@dataclass(frozen=True, kw_only=True)
class Update:
    """One reward for one arm to learn, with a weight."""

    arm: str
    #: Reward to learn, in [0, 1].
    reward: float
    weight: float = 1.0
    #: Reward before scaling, in [0, 1]; None for an unscaled reward.
    unscaled: float | None = None

    @property
    def earned(self) -> float:
        """Reward of the arm's answer before any scaling, in [0, 1]."""
        return self.reward if self.unscaled is None else self.unscaled


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event of the log from which the bandit's state is folded; it is self-contained."""

    #: Position in the log, 1, 2, 3 ... without gaps; 0 before the store has set it.
    position: int = 0
    #: ``start`` (features and prior), ``arm`` (an arm joins), ``arm_state`` (an arm is enabled, drained or
    #: retired), ``change`` (of the generator, its template or a reward model) or ``feedback``.
    kind: str
    created_at: float
    decision_id: str | None = None
    #: Context of the decision, shape (d,); None for events that are not feedback.
    x: Vector | None = None
    #: Updates that the fold applies.
    updates: tuple[Update, ...] = ()
    #: Updates of an earlier event on this decision, which the fold takes back first.
    replaces: tuple[Update, ...] = ()
    #: Further data of the kind, as JSON values.
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """Feedback on a decision, as the client sent it."""

    decision_id: str
    kind: FeedbackKind
    #: The value of that kind: a number, a list of numbers, or a list of texts.
    value: Any
    #: Name of the metric that turns references into rewards.
    metric: str = "f1"
    #: A rater's name within the caller's key.
    source: str = ""
    #: Name of the API key that sent it.
    key: str = ""
    #: The client's Idempotency-Key, if it sent one.
    idempotency_key: str | None = None

    @property
    def identity(self) -> str:
        """Key of the feedback; a second feedback with an equal key is a duplicate or a conflict."""
        if self.idempotency_key is not None:
            return f"key:{self.idempotency_key}"
        return f"decision:{self.decision_id}:{self.source}:{self.kind}"


@dataclass(frozen=True, kw_only=True)
class FeedbackOutcome:
    """Result of recording a feedback."""

    #: ``late`` feedback is recorded too; it came after the decision's window had closed.
    status: Literal["recorded", "late", "duplicate"]
    learned: bool
    #: Reward of the returned answer; None where the feedback does not determine it.
    reward: float | None
    position: int
