"""What a reward model asks of its engine, and what vLLM is told."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laserve.errors import ConfigError

#: Tokens of one step of the engine on a CPU. A longer prompt is read over several steps, which other requests
#: share; a shorter budget would make every step repeat the reading of the weights.
CPU_BATCHED_TOKENS = 4096
#: The least that attention on a CPU takes; what a prompt has over whole blocks, each candidate computes anew.
CPU_BLOCK_SIZE = 32
#: Memory for the KV cache.
CPU_KV_CACHE_BYTES = 2**30
GPU_KV_CACHE_BYTES = 4 * 2**30
#: Share of a GPU that must be free at the start; the cache has a size of its own.
GPU_SHARE = 0.1
#: Adapters in the engine's memory at once; with more, the one that has waited longest makes room.
MAX_ADAPTERS = 8
MAX_RANK = 16


@dataclass(frozen=True, kw_only=True)
class EngineSpec:
    """An engine that a reward model asks for; equal ones are shared."""

    #: Folder of the base, or of a whole classifier.
    model: str
    #: Whether it takes LoRA adapters, each with a head; else the model has a head itself.
    adapters: bool
    max_model_len: int | None
    #: More of vLLM's ``AsyncEngineArgs``, as JSON with sorted keys.
    extra: str

    @classmethod
    def of(
        cls, model: str, *, adapters: bool, max_model_len: int | None, engine_args: Mapping[str, Any]
    ) -> "EngineSpec":
        extra = json.dumps(engine_args, sort_keys=True)
        return cls(model=model, adapters=adapters, max_model_len=max_model_len, extra=extra)

    @property
    def name(self) -> str:
        """In logs and metrics."""
        return f"rm-{Path(self.model).name}"

    @property
    def max_rank(self) -> int:
        """Highest rank of its adapters."""
        return int(json.loads(self.extra).get("max_lora_rank", MAX_RANK))

    @staticmethod
    def environment() -> dict[str, str]:
        """Variables of its processes: on a CPU, threads on all cores, where vLLM would leave out one."""
        from vllm.platforms import current_platform

        if not current_platform.is_cpu() or "VLLM_CPU_OMP_THREADS_BIND" in os.environ:
            return {}
        cores = len(os.sched_getaffinity(0))
        return {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": str(cores)}

    def arguments(self) -> dict[str, Any]:
        """What ``AsyncEngineArgs`` takes. Raises ConfigError when vLLM is not installed."""
        try:
            from vllm.platforms import current_platform
        except ImportError as error:
            raise ConfigError.at(
                "kind", f"{error}; pip install 'laserve[vllm]', or `make install` for the CPU build"
            ) from error

        arguments: dict[str, Any] = {
            "model": self.model,
            "runner": "pooling",
            "convert": "classify",
            "max_model_len": self.max_model_len,
            "enable_prefix_caching": True,
            "use_tqdm_on_load": False,
            "disable_log_stats": True,  # a new engine's statistics would take down those of the generator
        }
        if self.adapters:
            arguments |= {
                "enable_lora": True,
                "max_loras": MAX_ADAPTERS,
                "max_lora_rank": MAX_RANK,
                "hf_overrides": {"num_labels": 1},
            }
        if current_platform.is_cpu():
            arguments |= {
                "enforce_eager": True,
                "block_size": CPU_BLOCK_SIZE,
                "kv_cache_memory_bytes": CPU_KV_CACHE_BYTES,
                "max_num_batched_tokens": CPU_BATCHED_TOKENS,
            }
            if self.adapters:
                arguments["worker_cls"] = "laserve.scoring.pooling.lora_worker.LoraWorker"
        else:
            arguments |= {
                "kv_cache_memory_bytes": GPU_KV_CACHE_BYTES,
                "gpu_memory_utilization": GPU_SHARE,
            }
        arguments |= json.loads(self.extra)
        return {name: value for name, value in arguments.items() if value is not None}
