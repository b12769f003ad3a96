"""What requests are made of. The service checks the bounds; what breaks one raises `InvalidRequest`."""

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

    Exactly one of ``prompt``, ``messages`` and ``question`` is given. What is left out or None is up to the
    service's settings.
    """

    #: A raw prompt.
    prompt: str | None
    #: A conversation of at least one message, rendered by the model's chat template.
    messages: Sequence[Message] | None
    #: A question, to be answered from ``documents``.
    question: str | None
    #: Sources of the question; the last lose their ends when all do not fit the model.
    documents: Sequence[Document] | None
    #: Candidates to sample, 1..64.
    n: int | None
    #: Softmax temperature, 0..2; 0 goes with n = 1.
    temperature: float | None
    #: Nucleus mass in (0, 1].
    top_p: float | None
    #: Longest candidate, at least 1, in tokens.
    max_tokens: int | None
    #: At most 16 texts that end a candidate.
    stop: str | Sequence[str] | None
    #: 0..2**63-1; makes the candidates repeatable where the engine can.
    seed: int | None
    #: Pins this arm, without ``policy``; such a decision teaches nothing.
    arm: str | None
    #: Another policy for this request, such as ``random`` or ``fixed:loglik``, without ``arm``.
    policy: str | None
    #: What kind of work this is, 1..64 characters.
    task: str | None
    #: Kept with the decision; JSON values.
    metadata: Mapping[str, Any] | None
    #: Attribute -> weight, at most 64, for arms that score several attributes.
    attribute_weights: Mapping[str, float] | None
    #: Whether the decision lists all candidates; by default it does.
    return_candidates: bool | None
    #: In (0, 3600]: seconds until the answer is made of the candidates that have finished.
    timeout_s: float | None


class Feedback(TypedDict, total=False):
    """What came back about a decision: exactly one of the first five.

    The kinds that speak of every candidate teach about every arm that scored them, the others about the arm
    that chose.
    """

    #: How good the returned answer was, 0..1, or in the range that the service is set to.
    reward: float | None
    #: ``up`` or 1 teaches 1, ``down`` or 0 teaches 0.
    thumb: Literal["up", "down", 1, 0] | None
    #: Index of the candidate that a user chose, from 0.
    chosen_index: int | None
    #: How good each candidate was, in their order; as many as the decision has, in the range of ``reward``.
    candidate_rewards: Sequence[float] | None
    #: 1..256 right answers; each candidate is measured against the closest.
    references: Sequence[str] | None
    #: How ``references`` are compared; f1 by default. Goes with ``references`` only.
    metric: Literal["f1", "exact_match", "rouge_l"] | None
    #: A rater's name, at most 128 characters.
    source: str | None


class FeedbackLine(Feedback, total=False):
    """One feedback of ``feedback_batch``."""

    decision_id: Required[str]


class ArmSettings(TypedDict, total=False):
    """The keyword arguments of ``add_arm``; what is left out or None is up to the service."""

    #: Options of the kind, as the service's settings take them; JSON values.
    options: Mapping[str, Any] | None
    #: In (0, 3600]: seconds that it may take for one request.
    timeout_s: float | None
    #: Failures in a row after which it is not chosen, at least 1.
    circuit_failures: int | None
    #: In (0, 600]: seconds until it may prove itself again.
    circuit_open_s: float | None
    #: Whether it reads the prompt while candidates are generated; ``auto`` measures.
    overlap: Literal["auto", "on", "off"] | None
