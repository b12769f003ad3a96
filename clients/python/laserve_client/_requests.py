"""Fields of requests. The service checks their bounds; a value out of bounds raises `InvalidRequest`."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, Required, TypedDict


class Message(TypedDict):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Document(TypedDict):
    """One source text of a question."""

    text: str
    title: NotRequired[str]


class GenerateRequest(TypedDict, total=False):
    """The keyword arguments of ``generate`` and ``stream``.

    Exactly one of ``prompt``, ``messages`` and ``question`` is given. For arguments that are missing or None
    the service's settings apply.
    """

    #: A raw prompt.
    prompt: str | None
    #: A conversation of at least one message, rendered by the model's chat template.
    messages: Sequence[Message] | None
    #: A question, to be answered from ``documents``.
    question: str | None
    #: Sources of the question; where they do not all fit the model, the ends of the last ones are cut.
    documents: Sequence[Document] | None
    #: Number of candidates to sample, 1..64.
    n: int | None
    #: Softmax temperature, 0..2; 0 requires n = 1.
    temperature: float | None
    #: Nucleus mass in (0, 1].
    top_p: float | None
    #: Longest candidate, at least 1, in tokens.
    max_tokens: int | None
    #: At most 16 texts that end a candidate.
    stop: str | Sequence[str] | None
    #: 0..2**63-1; makes the candidates repeatable where the engine can.
    seed: int | None
    #: Pins this arm, without ``policy``; a decision with a pinned arm teaches nothing.
    arm: str | None
    #: Policy for this request, for example ``random`` or ``fixed:loglik``, without ``arm``.
    policy: str | None
    #: Name of the kind of work, 1..64 characters.
    task: str | None
    #: Data to keep with the decision, as JSON values.
    metadata: Mapping[str, Any] | None
    #: Attribute -> weight, at most 64, for arms that score several attributes.
    attribute_weights: Mapping[str, float] | None
    #: Whether the decision lists all candidates; by default True.
    return_candidates: bool | None
    #: Seconds until the answer is chosen from the finished candidates, in (0, 3600].
    timeout_s: float | None


class Feedback(TypedDict, total=False):
    """Feedback on a decision: exactly one of the first five fields.

    Kinds about every candidate teach about every arm that scored the candidates, the other kinds about the
    arm that chose.
    """

    #: Reward of the returned answer, 0..1, or in the range of the service's settings.
    reward: float | None
    #: ``up`` or 1 teaches 1, ``down`` or 0 teaches 0.
    thumb: Literal["up", "down", 1, 0] | None
    #: Index of the candidate that a user chose, from 0.
    chosen_index: int | None
    #: Reward of each candidate of the decision, in order, in the range of ``reward``.
    candidate_rewards: Sequence[float] | None
    #: 1..64 right answers; each candidate is compared with the closest one.
    references: Sequence[str] | None
    #: Metric of the comparison with ``references``, by default f1; only with ``references``.
    metric: Literal["f1", "exact_match", "rouge_l"] | None
    #: A rater's name, at most 128 characters.
    source: str | None


class FeedbackLine(Feedback, total=False):
    """One feedback of ``feedback_batch``."""

    decision_id: Required[str]


class ArmSettings(TypedDict, total=False):
    """The keyword arguments of ``add_arm``; for those missing or None the service's defaults apply."""

    #: Options of the kind, as in the service's settings, as JSON values.
    options: Mapping[str, Any] | None
    #: Seconds that the arm may take for one request, in (0, 3600].
    timeout_s: float | None
    #: Consecutive failures after which the arm is not chosen, at least 1.
    circuit_failures: int | None
    #: Seconds until the arm is tried again, in (0, 600].
    circuit_open_s: float | None
    #: Whether the arm reads the prompt while candidates are generated; ``auto`` measures.
    overlap: Literal["auto", "on", "off"] | None
