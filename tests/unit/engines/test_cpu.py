"""What engines get on a CPU; vLLM itself is not there."""

import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from laserve.engines import cpu, kv_cache
from laserve.errors import ConfigError
from laserve.scoring.pooling.spec import EngineSpec


def install(monkeypatch: pytest.MonkeyPatch, *, is_cpu: bool) -> None:
    platforms = ModuleType("vllm.platforms")
    platforms.current_platform = SimpleNamespace(is_cpu=lambda: is_cpu)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", ModuleType("vllm"))
    monkeypatch.setitem(sys.modules, "vllm.platforms", platforms)


@pytest.fixture
def one_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kernel's folder of memory nodes, with one node; no variable binds threads."""
    (tmp_path / "node0").mkdir()
    (tmp_path / "possible").touch()
    monkeypatch.setattr(cpu, "_NODES", tmp_path)
    monkeypatch.delenv("VLLM_CPU_OMP_THREADS_BIND", raising=False)
    return tmp_path


def test_without_vllm_the_error_names_the_setting_and_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "vllm.platforms", None)
    with pytest.raises(ConfigError, match=r"^generation\.kind: .*pip install 'laserve\[vllm\]'") as caught:
        cpu.on_cpu("generation.kind")
    assert caught.value.param == "generation.kind"


def test_a_generator_reads_whole_prompts() -> None:
    assert cpu.generator_arguments() == {
        "enforce_eager": True,
        "block_size": 32,
        "enable_chunked_prefill": False,
    }


def test_a_pooling_engine_takes_4096_tokens_a_step_on_a_cpu_and_a_share_of_the_memory_on_a_gpu(
    one_node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = EngineSpec.of("/model", adapters=False, max_model_len=None, engine_args={})
    install(monkeypatch, is_cpu=True)
    on_cpu = spec.arguments(kv_cache.load())
    assert {name: on_cpu[name] for name in (*cpu.pooling_arguments(), "kv_cache_memory_bytes")} == {
        "enforce_eager": True,
        "block_size": 32,
        "kv_cache_memory_bytes": 2**30,
        "max_num_batched_tokens": 4096,
    }
    install(monkeypatch, is_cpu=False)
    on_gpu = spec.arguments(kv_cache.load())
    assert on_gpu.keys() ^ on_cpu.keys() == {
        "enforce_eager",
        "block_size",
        "max_num_batched_tokens",
        "distributed_executor_backend",
        "worker_cls",
        "gpu_memory_utilization",
    }
    assert (on_gpu["kv_cache_memory_bytes"], on_gpu["gpu_memory_utilization"]) == (4 * 2**30, 0.1)


def test_an_engine_with_one_worker_works_in_one_process(one_node: Path) -> None:
    assert cpu.process_arguments({"dtype": "float32"}) == {
        "distributed_executor_backend": cpu.ONE_PROCESS,
        "worker_cls": cpu.WORKER,
    }


@pytest.mark.parametrize(
    "arguments",
    [
        {"tensor_parallel_size": 2},
        {"pipeline_parallel_size": 2},
        {"data_parallel_size": 2},
        {"distributed_executor_backend": "mp"},
        {"worker_cls": "mine.Worker"},
    ],
)
def test_an_engine_whose_settings_choose_its_workers_keeps_the_processes_of_vllm(
    one_node: Path, arguments: dict[str, Any]
) -> None:
    assert cpu.process_arguments(arguments) == {}


def test_threads_that_the_environment_binds_keep_the_worker_process_that_binds_them(
    one_node: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "0-1")
    assert cpu.process_arguments({}) == {}


def test_several_memory_nodes_keep_the_worker_process_that_vllm_binds_to_one(one_node: Path) -> None:
    (one_node / "node1").mkdir()
    assert cpu.process_arguments({}) == {}


def test_a_worker_process_for_reward_models_has_threads_on_all_cores_unless_the_environment_binds_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("VLLM_CPU_OMP_THREADS_BIND", raising=False)
    install(monkeypatch, is_cpu=True)
    cores = str(len(os.sched_getaffinity(0)))
    bound = {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": cores}
    assert cpu.pooling_environment({"distributed_executor_backend": "mp"}) == bound
    assert cpu.pooling_environment({"distributed_executor_backend": cpu.ONE_PROCESS}) == {}
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "0-1")
    assert cpu.pooling_environment({}) == {}
    monkeypatch.delenv("VLLM_CPU_OMP_THREADS_BIND")
    install(monkeypatch, is_cpu=False)
    assert cpu.pooling_environment({}) == {}


@pytest.mark.parametrize(("is_cpu", "variables"), [(True, {"TORCH_COMPILE_DISABLE": "1"}), (False, {})])
def test_an_engine_on_a_cpu_compiles_nothing(
    monkeypatch: pytest.MonkeyPatch, is_cpu: bool, variables: dict[str, str]
) -> None:
    install(monkeypatch, is_cpu=is_cpu)
    assert cpu.environment() == variables
