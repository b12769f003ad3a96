"""What a reward model needs of its engine, and the arguments that vLLM gets for it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laserve.engines import cpu

#: Memory for the KV cache on a GPU; what an engine on a CPU gets stands in `laserve.engines.cpu`.
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
        """Variables of its processes."""
        return cpu.pooling_environment()

    def arguments(self) -> dict[str, Any]:
        """What ``AsyncEngineArgs`` takes. Raises ConfigError when vLLM is not installed."""
        on_cpu = cpu.on_cpu("kind")
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
        if on_cpu:
            arguments |= cpu.pooling_arguments()
            if self.adapters:
                arguments["worker_cls"] = "laserve.scoring.pooling.lora_worker.LoraWorker"
        else:
            arguments |= {
                "kv_cache_memory_bytes": GPU_KV_CACHE_BYTES,
                "gpu_memory_utilization": GPU_SHARE,
            }
        arguments |= json.loads(self.extra)
        return {name: value for name, value in arguments.items() if value is not None}
