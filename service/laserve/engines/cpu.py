"""Arguments and environment of vLLM's engines on a CPU."""

import os
from typing import Any

from laserve.errors import ConfigError

#: Tokens of a block, the smallest size that attention on a CPU accepts; a prompt's tokens beyond whole blocks
#: are computed again for each candidate.
BLOCK_SIZE = 32
#: Memory for the KV cache, in bytes.
GENERATOR_KV_CACHE_BYTES = 2 * 2**30
POOLING_KV_CACHE_BYTES = 2**30
#: Tokens of one step of a pooling engine. A longer prompt is read over several steps, which other requests
#: share. Each step reads all weights, so smaller steps would read them more often.
POOLING_BATCHED_TOKENS = 4096


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


def generator_arguments(*, kv_cache_bytes: int | None) -> dict[str, Any]:
    """Arguments of a generator's engine.

    Prefills are whole, because seeded requests kill the CPU engine if a prefill is chunked. Execution is
    eager, because compiling takes minutes.

    Args:
        kv_cache_bytes: memory for the KV cache; None for the default.
    """
    return _arguments(kv_cache_bytes or GENERATOR_KV_CACHE_BYTES) | {"enable_chunked_prefill": False}


def pooling_arguments() -> dict[str, Any]:
    """Arguments of an engine of reward models."""
    return _arguments(POOLING_KV_CACHE_BYTES) | {"max_num_batched_tokens": POOLING_BATCHED_TOKENS}


def pooling_environment() -> dict[str, str]:
    """Environment variables of the processes of an engine of reward models; empty if not on a CPU.

    They give the engine threads on all cores; by default vLLM leaves out one core.
    """
    if not on_cpu("kind") or "VLLM_CPU_OMP_THREADS_BIND" in os.environ:
        return {}
    cores = len(os.sched_getaffinity(0))
    return {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": str(cores)}


def _arguments(kv_cache_bytes: int) -> dict[str, Any]:
    return {"enforce_eager": True, "block_size": BLOCK_SIZE, "kv_cache_memory_bytes": kv_cache_bytes}
