"""The values that travel through the stages. Frozen, keyword-only, free of any framework."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

FeedbackKind = Literal["reward", "thumb", "chosen_index", "candidate_rewards", "references"]
ArmStatus = Literal["enabled", "draining", "retired"]
#: Kind, in the log, of a reward that was learned because nobody had spoken of the decision in time.
DEFAULT = "default"


def task_label(task: str | None, declared: Collection[str]) -> str:
    """The task where it is declared, else ``other``; ``none`` where there is none."""
    if task is None:
        return "none"
    return task if task in declared else "other"


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
    """How candidates are sampled."""

    #: Candidates to sample, 1..64.
    n: int
    #: Softmax temperature, 0..2; 0 is greedy and goes with n = 1 only.
    temperature: float
    #: Nucleus mass in (0, 1].
    top_p: float
    #: Longest candidate, in tokens.
    max_tokens: int
    #: Texts that end a candidate, left out of it.
    stop: tuple[str, ...] = ()
    #: Makes the candidates repeatable where the engine can.
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a client asks: exactly one of ``prompt``, ``messages`` or ``question`` is set."""

    sampling: Sampling
    prompt: str | None = None
    messages: tuple[Message, ...] = ()
    question: str | None = None
    documents: tuple[Document, ...] = ()
    #: Pins this arm; such a decision has no propensity and teaches nothing.
    arm: str | None = None
    #: Another policy for this request alone, such as ``random`` or ``fixed:loglik``.
    policy: str | None = None
    task: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    #: Attribute -> weight, for arms that score several; empty takes each arm's own.
    attribute_weights: Mapping[str, float] = field(default_factory=dict)
    #: Seconds from arrival until the answer is made from the candidates that have finished.
    timeout_s: float

    @property
    def query(self) -> str:
        """The text that says what is wanted: the question, the last user message, or the prompt."""
        if self.question is not None:
            return self.question
        for message in reversed(self.messages):
            if message.role == "user":
                return message.content
        return self.prompt or ""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One sampled completion."""

    #: Position in the request, 0..n-1, stable whatever finishes first.
    index: int
    text: str
    #: Why it ended: ``stop`` or ``length``.
    finish_reason: str
    #: Sampled tokens, the stop token included.
    tokens: int
    #: Sum over the sampled tokens of the model's raw log-probability (before temperature), in nats.
    logprob: float

    @property
    def mean_logprob(self) -> float:
        """``logprob`` per token; minus infinity when nothing was sampled."""
        return self.logprob / self.tokens if self.tokens else -math.inf


@dataclass(frozen=True, kw_only=True)
class ArmWhy:
    """What the policy saw in one arm when it chose."""

    arm: str
    #: Predicted reward, x . theta.
    mean: float
    #: Exploration bonus before alpha, sqrt(x' A^-1 x).
    width: float
    #: Chance that this decision had of drawing the arm; the chances sum to one.
    probability: float


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One answered request, with all that explains it, replays it and lets feedback teach."""

    id: str
    #: Unix seconds by the clock of the process that answered.
    created_at: float
    #: Name of the API key that asked; empty where no keys are configured.
    key: str
    policy: str
    #: Arm that the policy drew (or the client pinned).
    arm: str
    #: Probability with which the policy drew ``arm``; None when it was pinned.
    propensity: float | None
    #: Arm whose scores chose the answer; None when every arm failed.
    scored_by: str | None
    why: tuple[ArmWhy, ...]
    #: Position of the event log that the policy's state stood at.
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
    #: What is kept of the texts: ``full``, ``hash`` or ``none``.
    retention: str = "full"
    #: Unix seconds after which feedback is late; None where it never is.
    closes_at: float | None = None
    #: Whether all arms were to score this request, whichever was drawn.
    shadowed: bool = False
    #: Arm that the policy would have drawn, where it is only observed.
    preferred: str | None = None
    #: Reward that is learned then unless feedback has taught before, in [0, 1]; None where none is.
    default_reward: float | None = None

    @property
    def due_at(self) -> float | None:
        """Unix seconds at which the default reward is due; None where there is none."""
        return None if self.default_reward is None else self.closes_at

    @property
    def learnable(self) -> bool:
        """Whether feedback on this decision may teach: it was drawn by a policy, and some arm scored it."""
        return self.propensity is not None and self.scored_by is not None

    @property
    def text(self) -> str:
        return self.candidates[self.index].text


@dataclass(frozen=True, kw_only=True)
class Update:
    """One step of one arm: learn that ``reward`` followed, ``weight`` times."""

    arm: str
    #: What is learned, in [0, 1].
    reward: float
    weight: float = 1.0
    #: The reward before it was scaled, in [0, 1]; None where it was not.
    unscaled: float | None = None

    @property
    def earned(self) -> float:
        """What the arm's answer was worth, in [0, 1], however it is learned."""
        return self.reward if self.unscaled is None else self.unscaled


@dataclass(frozen=True, kw_only=True)
class Event:
    """One row of the log that the policies' state is folded from. Self-contained."""

    #: 1, 2, 3 ... without a gap; 0 before the store has placed it.
    position: int = 0
    #: ``start`` (features and prior), ``arm`` (an arm joins), ``arm_state`` (it is enabled, drained or
    #: retired), ``change`` (of the generator, its template or a reward model) or ``feedback``.
    kind: str
    created_at: float
    decision_id: str | None = None
    #: Context of the decision, shape (d,); None for events that are not feedback.
    x: Vector | None = None
    #: What the fold applies.
    updates: tuple[Update, ...] = ()
    #: What an earlier event of the same decision had applied, taken back first.
    replaces: tuple[Update, ...] = ()
    #: Everything else the kind needs, as JSON values.
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """What came back about a decision, as the client said it."""

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
        """What makes a second post the same one."""
        if self.idempotency_key is not None:
            return f"key:{self.idempotency_key}"
        return f"decision:{self.decision_id}:{self.source}:{self.kind}"


@dataclass(frozen=True, kw_only=True)
class FeedbackOutcome:
    """What became of a feedback."""

    #: ``late`` is recorded as well, after the decision's window had closed.
    status: Literal["recorded", "late", "duplicate"]
    learned: bool
    #: Reward of the returned answer; None where the feedback does not tell it.
    reward: float | None
    position: int
