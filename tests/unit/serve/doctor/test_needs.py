"""What a configuration needs, part by part."""

from pathlib import Path
from typing import Any

import pytest

import tiny
from laserve.config import Settings, load
from laserve.serve.doctor import needs as module
from laserve.serve.doctor.caches import check_caches
from laserve.serve.doctor.machine import Gpu, Machine
from laserve.serve.doctor.needs import ENGINE, SERVICE, TORCH, VLLM, needs
from laserve.serve.doctor.report import Part, total

MIB = 2**20
FAKE: dict[str, Any] = {"generation": {"kind": "fake"}, "context": {"encoder": "hash"}}
CONSENSUS = {"name": "consensus", "kind": "consensus"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.decoder(tmp_path_factory.mktemp("model"))


def parts(settings: Settings, machine: Machine | None = None) -> dict[str, Part]:
    return {part.part: part for part in needs(settings, machine or Machine.read())}


def test_the_default_needs_what_was_measured() -> None:
    settings = load()
    listed = needs(settings, Machine.read())
    # The sum that `laserve bench start` shows on two cores, where each cache has 915 MiB; it is the cache of
    # the cores that are here which counts.
    caches = sum(part.bytes or 0 for part in listed if part.part.endswith("KV cache"))
    assert total(listed, "memory") - caches == pytest.approx((4805 - 2 * 915) * MIB, rel=0.03)


def test_a_fake_service_needs_a_process_alone() -> None:
    listed = parts(load(profile="fake"))
    assert {name: part.bytes for name, part in listed.items()} == {"service process": SERVICE}


def test_arms_of_one_base_share_an_engine(model: Path) -> None:
    def arm(name: str, **options: Any) -> dict[str, Any]:
        return {"name": name, "kind": "vllm", "options": {"model": str(model)} | options}

    arms = [arm("a", adapter="grounded"), arm("b", adapter="harmless"), arm("c"), CONSENSUS]
    listed = parts(load(flags=FAKE | {"arms": arms}))
    assert listed["service process"].bytes == SERVICE + TORCH + VLLM
    assert [name for name in listed if name.endswith("processes")] == [
        "reward engine (a, b) processes",
        "reward engine (c) processes",
    ]
    assert listed["reward engine (a, b) processes"].bytes == ENGINE
    assert "reward engine (c) adapters" not in listed
    # Rank 16 in 8 places of 2 bytes; two layers of q, k, v, o and of gate, up, down.
    sizes = 2 * ((64 + 64) * 2 + (64 + 32) * 2 + 3 * (64 + 128))
    assert listed["reward engine (a, b) adapters"].bytes == 2 * 16 * 8 * sizes


@pytest.mark.parametrize(
    ("dtype", "of_one", "loading"), [("auto", 2, True), ("float32", 4, False), ("bfloat16", 2, False)]
)
def test_an_arm_in_the_process_needs_its_weights(model: Path, dtype: str, of_one: int, loading: bool) -> None:
    options = {"model": str(model), "dtype": dtype}
    listed = parts(load(flags=FAKE | {"arms": [{"name": "own", "kind": "transformers", "options": options}]}))
    assert listed["service process"].bytes == SERVICE + TORCH
    floats = 49152 * 64 * 2 + 2 * (64 * (64 + 32 + 32 + 64) + 3 * 64 * 128 + 2 * 64) + 64
    assert listed["arm own model"].bytes == of_one * floats
    assert ("arm own while it loads" in listed) is loading


def test_a_model_that_is_not_here_has_an_unknown_size(tmp_path: Path) -> None:
    generation = {"kind": "vllm", "model": str(tmp_path / "nothing")}
    listed = parts(load(flags=FAKE | {"generation": generation, "arms": [CONSENSUS]}))
    assert listed["generator weights"].bytes is None
    assert listed["generator KV cache"].bytes == 2 * 2**30


def test_a_cache_of_the_settings_is_counted(model: Path) -> None:
    generation = {"kind": "vllm", "model": str(model), "kv_cache_bytes": 3 * MIB}
    listed = parts(load(flags=FAKE | {"generation": generation, "arms": [CONSENSUS]}))
    assert listed["generator KV cache"].bytes == 3 * MIB
    assert f"holds {3 * MIB // 256:,} tokens" in listed["generator KV cache"].how


def test_a_generator_on_a_gpu_takes_its_share(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "gpu_build", lambda: True)  # the build for GPUs cannot be installed beside
    gpu = Gpu(name="H100", memory=80 * 2**30, free=79 * 2**30)
    machine = Machine(**vars(Machine.read()) | {"gpus": (gpu,)})
    generation = {"kind": "vllm", "model": str(model), "engine_args": {"gpu_memory_utilization": 0.5}}
    arms = [{"name": "own", "kind": "vllm", "options": {"model": str(model)}}]
    listed = needs(load(flags=FAKE | {"generation": generation, "arms": arms}), machine)
    on_gpu = {part.part: part.bytes for part in listed if part.resource == "gpu memory"}
    assert on_gpu["generator"] == 40 * 2**30
    assert on_gpu["reward engine (own) KV cache"] == 4 * 2**30


def test_disk_is_needed_by_models_and_by_the_database(model: Path, tmp_path: Path) -> None:
    (tmp_path / "laserve.db").write_bytes(b"x" * 1000)
    (tmp_path / "laserve.db-wal").write_bytes(b"x" * 234)
    generation = {"kind": "vllm", "model": str(model)}
    flags = FAKE | {"generation": generation, "arms": [CONSENSUS], "data_dir": str(tmp_path)}
    disk = {
        part.part: part.bytes for part in needs(load(flags=flags), Machine.read()) if part.resource == "disk"
    }
    assert disk == {
        f"model {model}": sum(file.stat().st_size for file in model.iterdir()),
        "database": 1234,
    }
    flags["storage"] = {"max_bytes": 5 * MIB}
    assert parts(load(flags=flags))["database"].bytes == 5 * MIB


#: Bytes for the longest text, and for two blocks of 32 tokens beside it.
LEAST = (2048 + 64) * 256
CACHES: dict[str, tuple[dict[str, Any], bool]] = {
    "fits": ({"kv_cache_bytes": MIB}, False),
    "too small": ({"kv_cache_bytes": MIB, "engine_args": {"kv_cache_memory_bytes": LEAST - 1}}, True),
    "just fits": ({"engine_args": {"kv_cache_memory_bytes": LEAST}}, False),
    "fits shorter texts": ({"max_model_len": 64, "engine_args": {"kv_cache_memory_bytes": 32 * 1024}}, False),
    "too small in 32 bits": ({"dtype": "float32", "kv_cache_bytes": MIB}, True),
    "of a type of its own": ({"engine_args": {"kv_cache_memory_bytes": 1, "kv_cache_dtype": "fp8"}}, False),
}


@pytest.mark.parametrize(("generation", "refused"), CACHES.values(), ids=CACHES)
def test_a_cache_must_hold_the_longest_text(model: Path, generation: dict[str, Any], refused: bool) -> None:
    """The model has 2,048 positions, of 256 bytes each."""
    settings = load(
        flags=FAKE | {"generation": {"kind": "vllm", "model": str(model)} | generation, "arms": [CONSENSUS]}
    )
    found = list(check_caches(settings))
    assert [(finding.check, finding.status) for finding in found] == [("kv cache", "error")] * refused
    if refused:
        assert found[0].fact.startswith(
            "generation.kv_cache_bytes: the KV cache has 1 MiB, and one text of 2,048"
        )
        assert found[0].remedy == "make the cache larger, or generation.max_model_len lower"


@pytest.mark.parametrize(("others", "status"), [([], "error"), ([CONSENSUS], "warning")])
def test_a_cache_of_an_arm_that_is_too_small_names_the_arm_s_settings(
    model: Path, others: list[dict[str, Any]], status: str
) -> None:
    options = {"model": str(model), "engine_args": {"kv_cache_memory_bytes": LEAST - 1}}
    arms = [{"name": "own", "kind": "vllm", "options": options}, *others]
    (finding,) = check_caches(load(flags=FAKE | {"arms": arms}))
    assert finding.status == status
    assert finding.fact.startswith("arms.0.options.engine_args.kv_cache_memory_bytes: the KV cache has ")
    assert f"; set it to {LEAST} or more" in finding.fact
    assert finding.remedy == "make the cache larger, or arms.0.options.max_model_len lower"


def test_the_variable_that_overrides_every_cache_is_left_to_vllm(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "4")
    generation = {"kind": "vllm", "model": str(model), "kv_cache_bytes": MIB, "dtype": "float32"}
    assert not list(check_caches(load(flags=FAKE | {"generation": generation, "arms": [CONSENSUS]})))
