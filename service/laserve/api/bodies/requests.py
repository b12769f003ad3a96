"""Bodies of requests, with the bounds of their fields; unknown fields are refused."""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from laserve.api.bodies.base import Body
from laserve.config import MAX_CANDIDATES, ArmSettings, SamplingDefaults
from laserve.types import ArmStatus, Document, Feedback, FeedbackKind, Message, Request, Sampling

_Text = Annotated[str, Field(min_length=1)]
#: Most right answers in one feedback, and the longest, in characters.
MAX_REFERENCES, MAX_REFERENCE = 64, 10_000
_Reference = Annotated[str, Field(min_length=1, max_length=MAX_REFERENCE)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_SOURCES = ("prompt", "messages", "question")
_KINDS: tuple[FeedbackKind, ...] = ("reward", "thumb", "chosen_index", "candidate_rewards", "references")
_METADATA_DEPTH = 64
_OPTIONS_BYTES = 16 * 1024
_ID = "0199c0de-0000-7000-8000-000000000000"


def _storable(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse values that JSON text cannot hold, or that are nested too deep."""
    if _depth(value) > _METADATA_DEPTH:
        raise ValueError(f"is nested deeper than {_METADATA_DEPTH} levels")
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:  # NaN, Infinity, or an unpaired surrogate
        raise ValueError(f"cannot be kept as JSON: {error}") from error
    return value


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level and depth <= _METADATA_DEPTH:
        depth += 1
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return depth


def _short(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse options that are too long for the event log."""
    if len(json.dumps(value)) > _OPTIONS_BYTES:
        raise ValueError(f"is longer than {_OPTIONS_BYTES} bytes")
    return value


_Metadata = Annotated[dict[str, Any], AfterValidator(_storable)]
_Options = Annotated[dict[str, Any], AfterValidator(_storable), AfterValidator(_short)]


class DocumentBody(Body):
    """A document from which a question is answered."""

    text: str = Field(description="Text; its end is cut off if the request does not fit the model.")
    title: str = Field("", description="Title.")


class MessageBody(Body):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"] = Field(description="Who speaks.")
    content: str = Field(description="The text.")


class GenerateBody(Body):
    """A request for the best of n candidates: exactly one of `prompt`, `messages` and `question`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "question": "When was the Orrin bridge opened?",
                    "documents": [
                        {"title": "Orrin", "text": "The bridge of Orrin was opened in 1907."},
                        {"title": "Velm", "text": "Velm has a market and a harbour clock."},
                    ],
                    "n": 4,
                }
            ]
        },
    )

    prompt: _Text | None = Field(None, description="A raw prompt, tokenised as in vLLM's completions API.")
    messages: Annotated[list[MessageBody], Field(min_length=1)] | None = Field(
        None, description="A conversation, rendered by the model's chat template."
    )
    question: _Text | None = Field(None, description="A question, answered from `documents`.")
    documents: list[DocumentBody] = Field(default_factory=list, description="Documents for `question`.")
    n: int | None = Field(
        None, ge=1, le=MAX_CANDIDATES, description="Number of candidates, by default `generation.defaults.n`."
    )
    temperature: float | None = Field(
        None,
        ge=0,
        le=2,
        allow_inf_nan=False,
        description="Softmax temperature, by default `generation.defaults.temperature`; 0 requires n = 1.",
    )
    top_p: float | None = Field(
        None,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="Nucleus mass, a probability; by default `generation.defaults.top_p`.",
    )
    max_tokens: int | None = Field(
        None, ge=1, description="Longest candidate, in tokens; by default `generation.defaults.max_tokens`."
    )
    stop: Annotated[list[_Text], Field(max_length=16)] | _Text | None = Field(
        None, description="Texts that end a candidate; by default a line break for `question`, else none."
    )
    seed: int | None = Field(None, ge=0, lt=2**63, description="Makes the candidates repeatable.")
    arm: str | None = Field(None, description="Arm to pin; nothing is learned from a pinned decision.")
    policy: str | None = Field(None, description="Policy for this request, by default `policy.name`.")
    task: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="Name of the kind of task; those of `context.tasks` have a feature of their own.",
    )
    metadata: _Metadata = Field(default_factory=dict, description="JSON stored with the decision.")
    attribute_weights: dict[_Text, _Finite] = Field(
        default_factory=dict,
        max_length=64,
        description="Attribute -> weight, for arms of kind `attributes`; others ignore it.",
    )
    return_candidates: bool = Field(True, description="Whether the answer has all candidates.")
    timeout_s: float | None = Field(
        None,
        gt=0,
        le=3600,
        allow_inf_nan=False,
        description="Seconds to wait for the candidates, by default `generation.defaults.timeout_s`.",
    )
    stream: bool = Field(False, description="Answer with events: each candidate, then the decision.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in _SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of {', '.join(_SOURCES)}; got {' and '.join(given) or 'none'}"
            )
        if self.documents and self.question is None:
            raise ValueError("documents: expected only together with question")
        if self.arm is not None and self.policy is not None:
            raise ValueError("give at most one of arm and policy")
        return self

    def to_request(self, defaults: SamplingDefaults) -> Request:
        """The request, with the defaults of fields that are not given.

        Raises:
            ValueError: temperature 0 with several candidates.
        """
        sampling = Sampling(
            n=self.n if self.n is not None else defaults.n,
            temperature=self.temperature if self.temperature is not None else defaults.temperature,
            top_p=self.top_p if self.top_p is not None else defaults.top_p,
            max_tokens=self.max_tokens if self.max_tokens is not None else defaults.max_tokens,
            stop=(self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ()),
            seed=self.seed,
        )
        if sampling.temperature == 0 and sampling.n > 1:
            raise ValueError(
                f"temperature: 0 gives {sampling.n} equal candidates; use n = 1 or a temperature above 0"
            )
        return Request(
            sampling=sampling,
            prompt=self.prompt,
            messages=tuple(Message(role=m.role, content=m.content) for m in self.messages or ()),
            question=self.question,
            documents=tuple(Document(title=d.title, text=d.text) for d in self.documents),
            arm=self.arm,
            policy=self.policy,
            task=self.task,
            metadata=self.metadata,
            attribute_weights=self.attribute_weights,
            timeout_s=self.timeout_s if self.timeout_s is not None else defaults.timeout_s,
        )


class FeedbackBody(Body):
    """Feedback on a decision: `decision_id` and exactly one kind of feedback."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"decision_id": _ID, "references": ["1907", "in 1907"]}]},
    )

    decision_id: str = Field(min_length=1, max_length=64, description="Id in the answer of `/generate`.")
    reward: _Finite | None = Field(
        None,
        description="Quality of the returned answer, within the setting `feedback.reward_range`, by default "
        "0 to 1.",
    )
    thumb: Literal["up", "down", 1, 0] | None = Field(None, description="Up is reward 1, down 0.")
    chosen_index: Annotated[int, Field(ge=0)] | None = Field(None, description="Index that a user chose.")
    candidate_rewards: Annotated[list[_Finite], Field(min_length=1, max_length=MAX_CANDIDATES)] | None = (
        Field(None, description="Quality of each candidate, in order, within the range of `reward`.")
    )
    references: Annotated[list[_Reference], Field(min_length=1, max_length=MAX_REFERENCES)] | None = Field(
        None, description="Right answers; each candidate is compared with the closest of them."
    )
    metric: Literal["f1", "exact_match", "rouge_l"] | None = Field(
        None, description="Measure for the comparison with `references`; by default `f1`."
    )
    source: str = Field("", max_length=128, description="Name of the rater.")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [name for name in _KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(_KINDS)}; got {' and '.join(given) or 'none'}")
        if self.metric is not None and self.references is None:
            raise ValueError("metric: expected only together with references")
        return self

    def to_feedback(self, *, key: str, idempotency_key: str | None) -> Feedback:
        (kind,) = (name for name in _KINDS if getattr(self, name) is not None)
        value = getattr(self, kind)
        return Feedback(
            decision_id=self.decision_id,
            kind=kind,
            value=float(value in ("up", 1)) if kind == "thumb" else value,
            metric=self.metric or "f1",
            source=self.source,
            key=key,
            idempotency_key=idempotency_key,
        )


class NewArmBody(Body):
    """An arm to be added."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "wide",
                    "kind": "relevance",
                    "options": {"window_words": 200, "stride_words": 150},
                    "timeout_s": 10.0,
                }
            ]
        },
    )

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="Name in answers, metrics and log."
    )
    kind: str = Field(description="Kind of the reward model, one of `scoring.allow_kinds`.")
    options: _Options = Field(default_factory=dict, description="Options of `kind`.")
    timeout_s: float = Field(
        30.0, gt=0, le=3600, allow_inf_nan=False, description="Longest time to score a request, in seconds."
    )
    circuit_failures: int = Field(5, ge=1, description="Failures in a row that open the circuit.")
    circuit_open_s: float = Field(
        10.0, gt=0, le=600, allow_inf_nan=False, description="Seconds until an open circuit is tested."
    )
    overlap: Literal["auto", "on", "off"] = Field(
        "auto", description="Whether the arm reads the prompt while candidates are generated."
    )

    def to_settings(self) -> ArmSettings:
        return ArmSettings(**self.model_dump())


class EvaluationBody(Body):
    """A request for the off-policy evaluation of policies."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"policies": ["fixed:loglik", "1200"], "task": "multi-doc-qa"}]},
    )

    policies: list[Annotated[str, Field(max_length=80)]] = Field(
        min_length=1,
        max_length=16,
        description="`fixed:ARM`, `random`, or a log position: the configured policy with its state at that "
        "position.",
    )
    since: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="Unix seconds; only decisions since then."
    )
    task: str | None = Field(None, min_length=1, max_length=64, description="Only decisions of this task.")


class ArmStateBody(Body):
    """The requested state of an arm."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"state": "draining"}]})

    state: ArmStatus = Field(
        description="`enabled`: may be drawn, and is loaded if it is not; `draining`: finishes the requests "
        "under way and gets no new ones; `retired`: also closes its model after them."
    )
