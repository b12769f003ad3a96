"""The specification of a pooling engine, and the vLLM arguments for it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from laserve.engines import cpu, gpu, kv_cache
from laserve.models.hub import model_name

#: Largest number of adapters in the engine's memory; beyond it the least recently used one is replaced.
MAX_ADAPTERS = 8
MAX_RANK = 16


@dataclass(frozen=True, kw_only=True)
class EngineSpec:
    """The engine that a reward model needs; models with equal specifications share one engine."""

    #: Folder of the base model, or of a whole classifier.
    model: str
    #: Whether the engine takes LoRA adapters, each with a head; otherwise the model itself has a head.
    adapters: bool
    max_model_len: int | None
    #: Further arguments of vLLM's ``AsyncEngineArgs``, as JSON with sorted keys.
    extra: str

    @classmethod
    def of(
        cls, model: str, *, adapters: bool, max_model_len: int | None, engine_args: Mapping[str, Any]
    ) -> "EngineSpec":
        extra = json.dumps(engine_args, sort_keys=True)
        return cls(model=model, adapters=adapters, max_model_len=max_model_len, extra=extra)

    @property
    def name(self) -> str:
        """Name of the engine in logs and metrics, unless another engine of the same model has it."""
        return f"rm-{model_name(self.model)}"

    @property
    def max_rank(self) -> int:
        """Highest rank of the adapters."""
        return int(json.loads(self.extra).get("max_lora_rank", MAX_RANK))

    def arguments(self, expected: kv_cache.Load) -> dict[str, Any]:
        """Arguments of ``AsyncEngineArgs``.

        Args:
            expected: requests that the KV cache is made for, unless `extra` sets its size.

        Raises:
            ConfigError: vLLM is not installed, or the KV cache is too small for the longest text.
        """
        on_cpu = cpu.on_cpu("kind")
        arguments: dict[str, Any] = {
            "model": self.model,
            "runner": "pooling",
            "convert": "classify",
            "max_model_len": self.max_model_len,
            "enable_prefix_caching": True,
            "use_tqdm_on_load": False,
            "disable_log_stats": True,  # a new engine's statistics would unregister those of the generator
        }
        if self.adapters:
            arguments |= {
                "enable_lora": True,
                "max_loras": MAX_ADAPTERS,
                "max_lora_rank": MAX_RANK,
                "hf_overrides": {"num_labels": 1},
            }
        extra = json.loads(self.extra)
        if on_cpu:
            arguments |= cpu.pooling_arguments() | cpu.process_arguments(extra)
            if self.adapters:
                arguments["worker_cls"] = "laserve.scoring.pooling.lora_worker.LoraWorker"
        else:
            arguments |= {
                "kv_cache_memory_bytes": gpu.POOLING_KV_CACHE_BYTES,
                "gpu_memory_utilization": gpu.POOLING_SHARE,
            }
        arguments |= extra
        if on_cpu:
            arguments = kv_cache.with_size(arguments, expected=expected, section="options")
        return {name: value for name, value in arguments.items() if value is not None}
