from typing import Any

import pytest

from laserve.config import GenerationSettings
from laserve.generation import fingerprint
from laserve.generation.fingerprint import generator_fingerprint, template_fingerprint

VLLM: dict[str, Any] = {"model": "org/model"}
OPENAI: dict[str, Any] = {"kind": "openai", "model": "m", "url": "http://host:8000"}
FAKE: dict[str, Any] = {"kind": "fake", "model": "fake"}


def of(**settings: Any) -> str | None:
    return generator_fingerprint(GenerationSettings(**settings))


@pytest.mark.parametrize(
    ("base", "change"),
    [
        (VLLM, {"model": "org/other"}),
        (VLLM, {"dtype": "float32"}),
        (VLLM, {"max_model_len": 4096}),
        (VLLM, {"engine_args": {"quantization": "fp8"}}),
        (OPENAI, {"url": "http://other:8000"}),
        (OPENAI, {"model": "n"}),
        (FAKE, {"engine_args": {"salt": "b"}}),
        (FAKE, VLLM | {"kind": "vllm"}),
    ],
)
def test_what_changes_candidates_makes_another_generator(
    base: dict[str, Any], change: dict[str, Any]
) -> None:
    assert of(**base) != of(**base | change)


@pytest.mark.parametrize(
    ("base", "change"),
    [
        (VLLM, {"engine_args": {"gpu_memory_utilization": 0.5, "tensor_parallel_size": 2}}),
        (VLLM, {"kv_cache_bytes": 2**30}),
        (VLLM, {"defaults": {"n": 4, "temperature": 0.2}}),
        (OPENAI, {"api_key": "secret"}),
        (OPENAI, {"url": "http://user:secret@host:8000/v1"}),
        (FAKE, {"engine_args": {"delay_s": 1.0}}),
    ],
)
def test_what_changes_speed_secrets_or_what_a_request_may_say_does_not(
    base: dict[str, Any], change: dict[str, Any]
) -> None:
    assert of(**base) == of(**base | change)


def test_a_model_whose_folder_is_not_there_is_unknown() -> None:
    assert of(model="/no/such/folder") is None


def test_other_solved_examples_are_another_template(monkeypatch: pytest.MonkeyPatch) -> None:
    before = template_fingerprint()
    monkeypatch.setattr(fingerprint, "TEMPLATE", (*fingerprint.TEMPLATE, "another"))
    assert template_fingerprint() != before
