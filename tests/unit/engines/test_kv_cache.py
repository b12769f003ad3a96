"""The size of a CPU engine's KV cache."""

import json
from pathlib import Path
from typing import Any

import pytest

from laserve.config.sections import SamplingDefaults
from laserve.engines import kv_cache
from laserve.engines.kv_cache import Load, token_bytes, with_size
from laserve.errors import ConfigError

#: SmolLM2-135M, the default model.
SMOLLM = {
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "head_dim": 64,
    "hidden_size": 576,
    "max_position_embeddings": 8192,
}
TOKEN = 2 * 2 * 30 * 3 * 64
GIB = 2**30


@pytest.fixture(autouse=True)
def _no_size_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)


def model(folder: Path, **changes: Any) -> str:
    (folder / "config.json").write_text(json.dumps(SMOLLM | changes))
    return str(folder)


def load(requests: int = 8, **defaults: Any) -> Load:
    return Load(requests=requests, defaults=SamplingDefaults(**defaults))


def size(arguments: dict[str, Any], expected: Load, section: str = "generation") -> int:
    return int(with_size(arguments, expected=expected, section=section)["kv_cache_memory_bytes"])


def test_the_cache_holds_the_longest_text_with_64_candidates_and_usual_requests_beside_it(
    tmp_path: Path,
) -> None:
    tokens = 8192 + 63 * (128 + 32) + 7 * (2048 + 8 * (128 + 32))
    assert size({"model": model(tmp_path)}, load()) == (tokens + 64) * TOKEN


@pytest.mark.parametrize(
    ("expected", "arguments"),
    [
        (load(requests=1), {}),
        (load(n=4), {}),
        (load(max_tokens=64), {}),
        (load(), {"max_model_len": 2048}),
    ],
)
def test_fewer_or_shorter_requests_need_a_smaller_cache(
    tmp_path: Path, expected: Load, arguments: dict[str, Any]
) -> None:
    small = size({"model": model(tmp_path)} | arguments, expected)
    assert small < size({"model": model(tmp_path)}, load())


@pytest.mark.parametrize(("section", "most"), [("generation", 2 * GIB), ("options", GIB)])
def test_many_requests_do_not_raise_the_default_beyond_its_bound(
    tmp_path: Path, section: str, most: int
) -> None:
    assert size({"model": model(tmp_path)}, load(requests=256), section) == most


def test_a_size_in_the_settings_stays(tmp_path: Path) -> None:
    assert size({"model": model(tmp_path), "kv_cache_memory_bytes": 300 * 2**20}, load()) == 300 * 2**20


@pytest.mark.parametrize(
    ("section", "setting"),
    [("generation", "generation.kv_cache_bytes"), ("options", "options.engine_args.kv_cache_memory_bytes")],
)
def test_a_cache_that_is_too_small_for_the_longest_text_is_refused_with_the_size_that_it_takes(
    tmp_path: Path, section: str, setting: str
) -> None:
    least = (8192 + 64) * TOKEN
    arguments = {"model": model(tmp_path), "kv_cache_memory_bytes": least - 1}
    with pytest.raises(ConfigError) as caught:
        size(arguments, load(), section)
    assert caught.value.param == setting
    assert caught.value.message == (
        f"{setting}: the KV cache has 181 MiB, and one text of 8,192 tokens takes 181 MiB; set it to {least} "
        f"or more, or {section}.max_model_len lower"
    )
    assert size(arguments | {"kv_cache_memory_bytes": least}, load(), section) == least


def test_a_model_whose_longest_text_exceeds_the_default_is_refused(tmp_path: Path) -> None:
    arguments = {"model": model(tmp_path, max_position_embeddings=131_072)}
    with pytest.raises(ConfigError, match=r"^generation\.kv_cache_bytes: the KV cache has 2,048 MiB"):
        size(arguments, load())
    assert size(arguments | {"max_model_len": 8192}, load()) == size({"model": model(tmp_path)}, load())


@pytest.mark.parametrize(
    "changes",
    [
        {"num_hidden_layers": None},
        {"max_position_embeddings": None},
        {"layer_types": ["sliding_attention", "full_attention"]},
        {"sliding_window": 4096},
        {"kv_lora_rank": 512},
    ],
)
def test_a_model_with_unknown_needs_gets_the_largest_default(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert size({"model": model(tmp_path, **changes)}, load()) == 2 * GIB


def test_a_name_of_a_hub_gets_the_largest_default() -> None:
    assert size({"model": "org/model"}, load()) == 2 * GIB


def test_the_variable_of_vllm_which_overrides_every_size_is_left_to_vllm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "4")
    assert size({"model": model(tmp_path), "kv_cache_memory_bytes": 2**20}, load()) == 2**20


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (SMOLLM, TOKEN),
        ({"text_config": SMOLLM}, TOKEN),
        ({name: SMOLLM[name] for name in SMOLLM if name != "num_key_value_heads"}, 3 * TOKEN),
        ({name: SMOLLM[name] for name in SMOLLM if name != "head_dim"}, TOKEN),
        (SMOLLM | {"layer_types": ["full_attention"] * 30, "sliding_window": 4096}, TOKEN),
        (SMOLLM | {"sliding_window": 4096, "use_sliding_window": False}, TOKEN),
        ({}, None),
    ],
)
def test_bytes_of_a_token_are_keys_and_values_of_all_layers_and_heads(
    config: dict[str, Any], expected: int | None
) -> None:
    assert token_bytes(config) == expected


def test_numbers_of_32_bits_take_twice_the_cache(tmp_path: Path) -> None:
    few = load(requests=1)
    assert size({"model": model(tmp_path), "dtype": "float32"}, few) == 2 * size(
        {"model": model(tmp_path)}, few
    )


def test_a_service_without_a_setting_is_made_for_4_requests_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2})
    assert kv_cache.load() == load(requests=12)
    assert kv_cache.load(5, SamplingDefaults(n=2)) == load(requests=5, n=2)
