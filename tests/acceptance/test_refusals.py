"""What is refused: told by name, and without a trace."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from acceptance.wire import Samples, Service
from laserve.api.bodies.answers import ErrorBody

#: Stands for a fresh decision's id.
DECISION = "DECISION"
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Refusal:
    """A request that must be refused."""

    path: str
    content: bytes
    #: The field to be named; two where either is right.
    param: str
    #: Words that the message holds.
    says: tuple[str, ...] = ()
    status: int = 422
    headers: dict[str, str] = field(default_factory=lambda: JSON)


def generate(param: str, *says: str, **body: Any) -> Refusal:
    """A request with a prompt, unless the body says otherwise."""
    content = {"prompt": "a b c"} | body
    content = {name: value for name, value in content.items() if value is not None}
    return Refusal("/generate", json.dumps(content).encode(), param, says)


def feedback(param: str, *says: str, headers: dict[str, str] | None = None, **body: Any) -> Refusal:
    content = json.dumps({"decision_id": DECISION} | body).encode()
    return Refusal("/feedback", content, param, says, headers=JSON | (headers or {}))


def raw(
    path: str, content: bytes, *says: str, param: str = "body", status: int = 422, **headers: str
) -> Refusal:
    return Refusal(
        path, content, param, says, status, JSON | {k.replace("_", "-"): v for k, v in headers.items()}
    )


def of_both(name: str, content: bytes, *says: str, **how: Any) -> dict[str, Refusal]:
    """The same bytes to both endpoints that take a JSON object."""
    return {f"{path}: {name}": raw(path, content, *says, **how) for path in ("/generate", "/feedback")}


HUGE = b'{"prompt": "' + b"a" * 10_000_000 + b'"}'
REFUSALS: dict[str, Refusal] = {
    "n 0": generate("n", n=0),
    "n 65": generate("n", "64", n=65),
    "n a word": generate("n", "integer", n="x"),
    "n a fraction": generate("n", "integer", n=1.5),
    "n a list": generate("n", n=[1]),
    "prompt empty": generate("prompt", prompt=""),
    "prompt a number": generate("prompt", "string", prompt=5),
    "prompt too long for the model": generate("prompt", "6000 tokens", "5872", prompt="a" * 6000),
    "question too long for the model": generate("question", "5872", prompt=None, question="a" * 6000),
    "messages too long for the model": generate(
        "messages", "5872", prompt=None, messages=[{"role": "user", "content": "a" * 6000}]
    ),
    "prompt and messages": generate(
        "body", "prompt and messages", messages=[{"role": "user", "content": "a"}]
    ),
    "prompt and question": generate("body", "prompt and question", question="a"),
    "no prompt at all": generate("body", "prompt, messages, question", prompt=None),
    "messages empty": generate("messages", prompt=None, messages=[]),
    "messages with an unknown role": generate(
        "messages.0.role", prompt=None, messages=[{"role": "robot", "content": "a"}]
    ),
    "messages with an unknown field": generate(
        "messages.0.name",
        "unknown field",
        prompt=None,
        messages=[{"role": "user", "content": "a", "name": "b"}],
    ),
    "documents without question": generate("body", "documents", "question", documents=[{"text": "a"}]),
    "documents without text": generate(
        "documents.0.text", prompt=None, question="a", documents=[{"title": "a"}]
    ),
    "temperature 0 with n above 1": generate("temperature", "n = 1", temperature=0, n=2),
    "temperature 0 with the default n": generate("temperature", "n = 1", temperature=0),
    "temperature below 0": generate("temperature", temperature=-1),
    "temperature above 2": generate("temperature", "2", temperature=3),
    "temperature NaN": generate("temperature", "finite", temperature=float("nan")),
    "temperature infinite": generate("temperature", "finite", temperature=float("inf")),
    "top_p 0": generate("top_p", "0", top_p=0),
    "top_p above 1": generate("top_p", "1", top_p=1.1),
    "top_p NaN": generate("top_p", top_p=float("nan")),
    "max_tokens 0": generate("max_tokens", max_tokens=0),
    "max_tokens longer than the model": generate("max_tokens", "6000", max_tokens=7000),
    "seed below 0": generate("seed", seed=-1),
    "seed above 63 bits": generate("seed", seed=2**63),
    "stop a number": generate("stop", stop=5),
    "stop with an empty text": generate("stop.0", stop=[""]),
    "stop with too many texts": generate("stop", stop=["a"] * 17),
    "timeout_s 0": generate("timeout_s", timeout_s=0),
    "timeout_s above an hour": generate("timeout_s", "3600", timeout_s=3601),
    "task empty": generate("task", task=""),
    "task too long": generate("task", "64", task="a" * 65),
    "metadata a list": generate("metadata", metadata=[1]),
    "metadata NaN": generate("metadata", metadata={"a": float("nan")}),
    "metadata infinite": generate("metadata", metadata={"a": [1.0, float("-inf")]}),
    "unknown field": generate("temprature", "unknown field", temprature=1),
    "unknown arm": generate("arm", "'nobody'", "loglik, consensus, relevance", arm="nobody"),
    "unknown policy": generate("policy", "'nothing'", "linucb, lints, squarecb", policy="nothing"),
    "fixed policy with an unknown arm": generate(
        "policy", "'nobody'", "loglik, consensus, relevance", policy="fixed:nobody"
    ),
    "fixed policy without an arm": generate("policy", policy="fixed:"),
    "arm and policy": generate("body", "arm", "policy", arm="loglik", policy="random"),
    "reward above 1": feedback("reward", "1", reward=1.5),
    "reward below 0": feedback("reward", "0", reward=-0.1),
    "reward NaN": feedback("reward", "finite", reward=float("nan")),
    "reward a word": feedback("reward", "number", reward="good"),
    "thumb maybe": feedback("thumb", "'up', 'down'", thumb="maybe"),
    "thumb 2": feedback("thumb", thumb=2),
    "chosen_index below 0": feedback("chosen_index", chosen_index=-1),
    "chosen_index out of range": feedback("chosen_index", "0 to 3", chosen_index=4),
    "chosen_index a fraction": feedback("chosen_index", chosen_index=0.5),
    "candidate_rewards empty": feedback("candidate_rewards", candidate_rewards=[]),
    "candidate_rewards too few": feedback("candidate_rewards", "4", candidate_rewards=[1]),
    "candidate_rewards above 1": feedback("candidate_rewards.1", candidate_rewards=[1, 2, 0, 0]),
    "candidate_rewards NaN": feedback("candidate_rewards.0", candidate_rewards=[float("nan"), 0, 0, 0]),
    "references empty": feedback("references", references=[]),
    "references with an empty text": feedback("references.1", references=["a", ""]),
    "references a text": feedback("references", "list", references="a"),
    "references too many": feedback("references", "64", references=["a"] * 65),
    "metric unknown": feedback("metric", "'f1'", references=["a"], metric="bleu"),
    "metric without references": feedback("body", "metric", "references", reward=1, metric="f1"),
    "two kinds of feedback": feedback("body", "reward and thumb", reward=1, thumb="up"),
    "no kind of feedback": feedback("body", "reward, thumb, chosen_index, candidate_rewards, references"),
    "feedback with an unknown field": feedback("rewrad", "unknown field", rewrad=1),
    "feedback without a decision": raw(
        "/feedback", b'{"reward": 1}', "decision_id", "required", param="decision_id"
    ),
    "source too long": feedback("source", "128", reward=1, source="a" * 129),
    "Idempotency-Key too long": feedback(
        "Idempotency-Key", "255", reward=1, headers={"Idempotency-Key": "k" * 256}
    ),
    "Idempotency-Key empty": feedback("Idempotency-Key", reward=1, headers={"Idempotency-Key": ""}),
    **of_both("invalid UTF-8", b'{"prompt": "\xff", "decision_id": "\xff"}', "UTF-8"),
    **of_both("bytes of no text at all", b"\xff\xfe\x00", "body"),
    **of_both("invalid JSON", b'{"prompt": ', "JSON"),
    **of_both("no body", b"", "JSON object"),
    **of_both("a JSON list", b"[]", "JSON object"),
    **of_both("a JSON text", b'"a"', "JSON object"),
    **of_both("wrong content type", b'{"prompt": "a"}', "Content-Type", Content_Type="text/plain"),
    **of_both("no content type", b'{"prompt": "a"}', "Content-Type", Content_Type=""),
    **of_both("10 MB", HUGE, "4194304", "server.max_body_bytes", status=413),
    **of_both("nested too deeply", b"[" * 100_000 + b"]" * 100_000),
    **of_both("a number too long", b'{"prompt": ' + b"9" * 10_000 + b"}"),
    **of_both("half a surrogate in a name", b'{"\\ud800": "a"}', "surrogate"),
    "half a surrogate in the prompt": raw("/generate", b'{"prompt": "\\ud800"}', "surrogate"),
    "half a surrogate in metadata": raw(
        "/generate", b'{"prompt": "a", "metadata": {"b": ["\\uDFFF"]}}', "surrogate"
    ),
    "half a surrogate in metadata, as bytes": raw(
        "/generate", b'{"prompt": "a", "metadata": {"b": "\xed\xa0\x80"}}', param="body or metadata"
    ),
    "half a surrogate in metadata, in UTF-16": raw(
        "/generate",
        '{"prompt": "a", "metadata": {"b": "\\ud800"}}'.encode("utf-16"),
        param="body or metadata",
    ),
    "half a surrogate in a reference": raw(
        "/feedback", b'{"decision_id": "DECISION", "references": ["\\ud83d"]}', "surrogate"
    ),
    "a batch of 10 MB": raw("/feedback/batch", HUGE, "4194304", status=413),
    "an unknown decision": raw(
        "/feedback",
        b'{"decision_id": "unknown", "reward": 1}',
        "unknown",
        param="decision_id",
        status=404,
    ),
}


#: Metrics that each request changes, whatever comes of it, and those that change without any.
MOVING = (
    "laserve_requests_",
    "laserve_request_seconds_",
    "laserve_caller_requests_",
    "laserve_snapshot_age_seconds",
    "laserve_database_free_bytes",
)


def quiet(samples: Samples) -> Samples:
    """All samples but those of the process, of all requests, of time and of the disk."""
    return {
        (name, labels): value
        for (name, labels), value in samples.items()
        if not name.startswith(("python_", "process_", *MOVING))
    }


@pytest.fixture
def fresh(main: Service) -> Iterator[httpx.Client]:
    """A connection of its own: one that the server breaks must not break the next test."""
    with httpx.Client(base_url=main.server.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def decision_id(main: Service) -> str:
    return main.decide(n=4)


@pytest.mark.parametrize("name", REFUSALS)
def test_a_bad_request_is_refused_by_name_and_leaves_no_trace(
    main: Service, fresh: httpx.Client, decision_id: str, name: str
) -> None:
    refusal = REFUSALS[name]
    policy, samples, written = main.policy(), quiet(main.samples()), main.decisions()
    failures = main.server.output().count("Traceback")

    answer = fresh.post(
        refusal.path,
        content=refusal.content.replace(DECISION.encode(), decision_id.encode()),
        headers=refusal.headers,
    )

    assert answer.status_code == refusal.status, answer.text
    assert answer.headers["content-type"] == "application/json"
    error = ErrorBody.model_validate_json(answer.content, strict=True).error
    assert error.type == "invalid_request_error"
    assert error.code
    assert error.param in refusal.param.split(" or ")
    assert f"{error.param}: " in error.message
    for words in refusal.says:
        assert words in error.message
    assert main.policy() == policy
    assert quiet(main.samples()) == samples
    assert main.decisions() == written
    assert main.decision(decision_id)["feedback"] == []
    assert main.server.output().count("Traceback") == failures


def test_a_refusal_names_every_field_that_is_wrong(main: Service) -> None:
    answer = main.client.post("/generate", json={"prompt": "", "n": 0, "temperature": 9, "sed": 1})
    assert answer.status_code == 422
    message = answer.json()["error"]["message"]
    assert all(f"{name}: " in message for name in ("prompt", "n", "temperature", "sed"))


def test_a_large_body_within_the_limit_is_taken(main: Service) -> None:
    documents = [{"text": "a" * 3_000_000}]
    assert main.generate(question="a", documents=documents, n=1)["truncated"] is True


def test_a_body_over_the_limit_is_refused_without_a_length_too(main: Service, fresh: httpx.Client) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield b"a" * 100_000

    answer = fresh.post("/generate", content=pieces(), headers=JSON)
    assert answer.status_code == 413
    assert answer.json()["error"]["param"] == "body"


def test_a_character_outside_the_basic_plane_is_no_half_surrogate(main: Service) -> None:
    answer = main.client.post(
        "/generate",
        content=b'{"prompt": "\\ud83d\\ude00", "n": 1, "metadata": {"a": "\\ud83d\\ude00"}}',
        headers=JSON,
    )
    assert answer.status_code == 200, answer.text
    assert main.decision(answer.json()["decision_id"])["metadata"] == {"a": "😀"}


@pytest.mark.parametrize("path", ["/generate", "/feedback", "/feedback/batch"])
def test_refusals_are_the_same_under_v1(main: Service, fresh: httpx.Client, path: str) -> None:
    bare, versioned = (fresh.post(prefix + path, content=b"[", headers=JSON) for prefix in ("", "/v1"))
    assert (bare.status_code, bare.content) == (versioned.status_code, versioned.content)
    assert b"is not JSON" in bare.content
    assert main.client.get("/v1/decisions/unknown").content == main.client.get("/decisions/unknown").content
