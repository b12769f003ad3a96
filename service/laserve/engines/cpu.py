"""Arguments and environment that vLLM's engines get on a CPU."""

import os
from typing import Any

from laserve.errors import ConfigError

#: The least that attention on a CPU takes; a prompt's tokens beyond whole blocks are computed anew for each
#: candidate.
BLOCK_SIZE = 32
#: Memory for the KV cache.
GENERATOR_KV_CACHE_BYTES = 2 * 2**30
POOLING_KV_CACHE_BYTES = 2**30
#: Tokens of one step of a pooling engine. A longer prompt is read over several steps, which other requests
#: share; a shorter budget would make every step repeat the reading of the weights.
POOLING_BATCHED_TOKENS = 4096


def on_cpu(param: str) -> bool:
    """Whether the vLLM that is installed runs on a CPU.

    Args:
        param: setting that asked for vLLM.

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
    """Arguments of an engine that generates.

    Whole prefills, because seeded requests kill the CPU engine when a prefill is chunked; eager, because
    compiling costs minutes.

    Args:
        kv_cache_bytes: as set; None for the default.
    """
    return _arguments(kv_cache_bytes or GENERATOR_KV_CACHE_BYTES) | {"enable_chunked_prefill": False}


def pooling_arguments() -> dict[str, Any]:
    """Arguments of an engine of reward models."""
    return _arguments(POOLING_KV_CACHE_BYTES) | {"max_num_batched_tokens": POOLING_BATCHED_TOKENS}


def pooling_environment() -> dict[str, str]:
    """Variables of the processes of an engine of reward models; none where it does not run on a CPU.

    Threads on all cores: vLLM would leave out one.
    """
    if not on_cpu("kind") or "VLLM_CPU_OMP_THREADS_BIND" in os.environ:
        return {}
    cores = len(os.sched_getaffinity(0))
    return {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": str(cores)}


def _arguments(kv_cache_bytes: int) -> dict[str, Any]:
    return {"enforce_eager": True, "block_size": BLOCK_SIZE, "kv_cache_memory_bytes": kv_cache_bytes}
