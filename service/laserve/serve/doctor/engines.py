"""The vLLM engines of a service, with the arguments on which their memory depends."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from laserve.config import Settings
from laserve.engines import cpu
from laserve.engines import gpu as gpu_sizes
from laserve.serve.doctor.software import gpu_build
from laserve.serve.references import references

#: Share of a GPU's memory that a generator takes by vLLM's default.
GENERATOR_SHARE = 0.92


@dataclass(frozen=True, kw_only=True)
class Engine:
    """One engine of the settings; arms with equal arguments share it."""

    #: Setting above ``model`` and ``max_model_len``: ``generation``, or ``arms.0.options``.
    setting: str
    #: Arguments of vLLM's ``AsyncEngineArgs`` that concern memory, with those of the settings.
    arguments: dict[str, Any]

    @property
    def generates(self) -> bool:
        """Whether it is the generator's."""
        return self.setting == "generation"

    @property
    def section(self) -> str:
        """Section that the errors about its arguments name."""
        return "generation" if self.generates else "options"

    @property
    def alone(self) -> bool:
        """Whether it works in one process, where the engines of a GPU have two."""
        return not gpu_build() and bool(cpu.process_arguments(self.arguments))

    @property
    def share(self) -> float:
        """Share of a GPU's memory that it takes, or that must be free at its start."""
        default = GENERATOR_SHARE if self.generates else gpu_sizes.POOLING_SHARE
        return float(self.arguments.get("gpu_memory_utilization", default))


def engines(settings: Settings) -> Iterator[Engine]:
    """The engine of the generator, and one for each arm of the kind ``vllm``."""
    cache, gpu = settings.cache_dir.expanduser(), gpu_build()
    folders = {each.setting: each.folder(cache) or each.name for each in references(settings)}
    generation = settings.generation
    if generation.kind == "vllm":
        arguments: dict[str, Any] = {
            "model": str(folders["generation.model"]),
            "dtype": generation.dtype,
            "max_model_len": generation.max_model_len,
            "kv_cache_memory_bytes": generation.kv_cache_bytes,
        }
        yield Engine(setting="generation", arguments=arguments | generation.engine_args)
    for index, arm in enumerate(settings.arms):
        setting = f"arms.{index}.options"
        if arm.kind == "vllm" and f"{setting}.model" in folders:
            arguments = {
                "model": str(folders[f"{setting}.model"]),
                "max_model_len": arm.options.get("max_model_len"),
                "kv_cache_memory_bytes": gpu_sizes.POOLING_KV_CACHE_BYTES if gpu else None,
            }
            yield Engine(setting=setting, arguments=arguments | (arm.options.get("engine_args") or {}))
