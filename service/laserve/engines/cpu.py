"""Arguments and environment of vLLM's engines on a CPU."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from laserve.errors import ConfigError

#: Tokens of a block, the smallest size that attention on a CPU accepts; a prompt's tokens beyond whole blocks
#: are computed again for each candidate.
BLOCK_SIZE = 32
#: Requests that are served well at once, per core; with more, each waits longer.
CORE_CONCURRENCY = 4
#: Length in tokens above which a generator works on one prompt at a time.
LONG_TOKENS = 2048
#: Largest default sizes of the KV cache, in bytes; see `laserve.engines.kv_cache`.
GENERATOR_KV_CACHE_BYTES = 2 * 2**30
POOLING_KV_CACHE_BYTES = 2**30
#: Tokens of one step of a pooling engine. A longer prompt is read over several steps, which other requests
#: share. Each step reads all weights, so smaller steps would read them more often.
POOLING_BATCHED_TOKENS = 4096
#: vLLM's executor that runs the worker in the engine's own process, and our worker for it. vLLM replaces the
#: executor's short name "uni" by that of two processes.
ONE_PROCESS = "vllm.v1.executor.uniproc_executor.UniProcExecutor"
WORKER = "laserve.engines.worker.Worker"
#: Arguments with which an engine may have several workers, or another executor.
_SEVERAL_WORKERS = frozenset(
    {
        "distributed_executor_backend",
        "tensor_parallel_size",
        "pipeline_parallel_size",
        "data_parallel_size",
        "prefill_context_parallel_size",
        "worker_cls",
    }
)
_NODES = Path("/sys/devices/system/node")


def on_cpu(param: str) -> bool:
    """Whether the vLLM that is installed runs on a CPU.

    Args:
        param: setting that requires vLLM.

    Raises:
        ConfigError: vLLM is not installed.
    """
    try:
        from vllm.platforms import current_platform
    except ImportError as error:
        raise ConfigError.at(
            param, f"{error}; pip install 'laserve[vllm]', or `make install` for the CPU build"
        ) from error
    return bool(current_platform.is_cpu())


def concurrency() -> int:
    """Number of requests that are served well at once."""
    return CORE_CONCURRENCY * len(os.sched_getaffinity(0))


def generator_arguments() -> dict[str, Any]:
    """Arguments of a generator's engine.

    Prefills are whole, because seeded requests kill the CPU engine if a prefill is chunked.
    """
    return _arguments() | {"enable_chunked_prefill": False}


def pooling_arguments() -> dict[str, Any]:
    """Arguments of an engine of reward models."""
    return _arguments() | {"max_num_batched_tokens": POOLING_BATCHED_TOKENS}


def process_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for an engine that works in one process, where vLLM would use two.

    vLLM's second process starts the threads of the computation with variables of the environment, which bind
    each to a core. It stays where those are set, where an engine has several workers, and on a machine with
    several memory nodes, where it keeps the threads at one node. Otherwise the worker sets the number of
    threads itself, and each process less saves about half a gigabyte and the seconds of its imports.

    Args:
        arguments: the other arguments of ``AsyncEngineArgs``.
    """
    binds = "VLLM_CPU_OMP_THREADS_BIND" in os.environ or len(list(_NODES.glob("node[0-9]*"))) > 1
    if binds or any(name in arguments for name in _SEVERAL_WORKERS):
        return {}
    return {"distributed_executor_backend": ONE_PROCESS, "worker_cls": WORKER}


def environment() -> dict[str, str]:
    """Environment variables of the processes of every engine; empty if not on a CPU.

    Some of vLLM's small functions are compiled at their first call, also where execution is eager. That takes
    seconds and needs a C++ compiler, which many machines and slim images do not have.
    """
    return {"TORCH_COMPILE_DISABLE": "1"} if on_cpu("generation.kind") else {}


def pooling_environment(arguments: Mapping[str, Any]) -> dict[str, str]:
    """Environment variables of the processes of an engine of reward models; empty if not on a CPU.

    They give a worker in a process of its own threads on all cores; by default vLLM leaves out one core.

    Args:
        arguments: arguments of ``AsyncEngineArgs``.
    """
    alone = arguments.get("distributed_executor_backend") == ONE_PROCESS
    if alone or not on_cpu("kind") or "VLLM_CPU_OMP_THREADS_BIND" in os.environ:
        return {}
    cores = len(os.sched_getaffinity(0))
    return {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": str(cores)}


def _arguments() -> dict[str, Any]:
    """Execution is eager, because compiling takes minutes."""
    return {"enforce_eager": True, "block_size": BLOCK_SIZE}
