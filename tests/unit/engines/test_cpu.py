"""What engines get on a CPU; vLLM itself is not there."""

import os
import sys
from types import ModuleType, SimpleNamespace

import pytest

from laserve.engines import cpu
from laserve.errors import ConfigError
from laserve.scoring.pooling.spec import EngineSpec


def install(monkeypatch: pytest.MonkeyPatch, *, is_cpu: bool) -> None:
    platforms = ModuleType("vllm.platforms")
    platforms.current_platform = SimpleNamespace(is_cpu=lambda: is_cpu)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", ModuleType("vllm"))
    monkeypatch.setitem(sys.modules, "vllm.platforms", platforms)


def test_without_vllm_the_error_names_the_setting_and_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "vllm.platforms", None)
    with pytest.raises(ConfigError, match=r"^generation\.kind: .*pip install 'laserve\[vllm\]'") as caught:
        cpu.on_cpu("generation.kind")
    assert caught.value.param == "generation.kind"


def test_a_generator_reads_whole_prompts_and_has_2_gib_for_its_cache_unless_another_size_is_set() -> None:
    expected = {"enforce_eager": True, "block_size": 32, "enable_chunked_prefill": False}
    assert cpu.generator_arguments(kv_cache_bytes=None) == {**expected, "kv_cache_memory_bytes": 2 * 2**30}
    assert cpu.generator_arguments(kv_cache_bytes=7) == {**expected, "kv_cache_memory_bytes": 7}


def test_a_pooling_engine_takes_4096_tokens_a_step_on_a_cpu_and_a_share_of_the_memory_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = EngineSpec.of("/model", adapters=False, max_model_len=None, engine_args={})
    install(monkeypatch, is_cpu=True)
    on_cpu = spec.arguments()
    assert {name: on_cpu[name] for name in cpu.pooling_arguments()} == {
        "enforce_eager": True,
        "block_size": 32,
        "kv_cache_memory_bytes": 2**30,
        "max_num_batched_tokens": 4096,
    }
    install(monkeypatch, is_cpu=False)
    assert spec.arguments().keys() ^ on_cpu.keys() == {
        "enforce_eager",
        "block_size",
        "max_num_batched_tokens",
        "gpu_memory_utilization",
    }


def test_a_pooling_engine_has_threads_on_all_cores_of_a_cpu_unless_the_environment_binds_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("VLLM_CPU_OMP_THREADS_BIND", raising=False)
    install(monkeypatch, is_cpu=True)
    cores = str(len(os.sched_getaffinity(0)))
    assert EngineSpec.environment() == {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": cores}
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "0-1")
    assert EngineSpec.environment() == {}
    monkeypatch.delenv("VLLM_CPU_OMP_THREADS_BIND")
    install(monkeypatch, is_cpu=False)
    assert EngineSpec.environment() == {}
