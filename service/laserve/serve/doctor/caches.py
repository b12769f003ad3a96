"""Checks that the KV cache of an engine holds the longest text, without which vLLM does not start."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from laserve.config import Settings
from laserve.engines import cpu
from laserve.serve.doctor.report import Finding, Status, gib
from laserve.serve.doctor.software import gpu_build
from laserve.serve.doctor.weights import Weights, read_weights
from laserve.serve.references import references


@dataclass(frozen=True, kw_only=True)
class _Engine:
    """The settings of one engine that concern its cache."""

    #: Setting above ``model`` and ``max_model_len``.
    setting: str
    arguments: Mapping[str, Any]
    #: Bytes of the cache, unless the arguments say otherwise; None where vLLM chooses.
    cache: int | None
    longest: int | None
    #: Status of a finding on it.
    fault: Status

    def check(self, weights: Weights) -> Finding | None:
        """The finding where the cache is too small; None where it is not, or its size is unknown."""
        token, size = weights.kv_token_bytes(), self.arguments.get("kv_cache_memory_bytes", self.cache)
        longest = self.arguments.get("max_model_len", self.longest) or weights.longest
        if token is None or longest is None or size is None or size // token >= longest:
            return None
        return Finding(
            check="kv cache",
            status=self.fault,
            fact=f"{self.setting}: {gib(size)} hold {size // token:,} tokens, a text up to {longest:,}",
            remedy=f"lower {self.setting}.max_model_len, or make the cache {gib(longest * token)}",
        )


def check_caches(settings: Settings) -> Iterator[Finding]:
    """Findings on the caches whose size is known; on a GPU, vLLM chooses that of the generator."""
    named = {reference.setting: reference for reference in references(settings)}
    for engine in _engines(settings):
        folder = named[f"{engine.setting}.model"].folder(settings.cache_dir.expanduser())
        weights = None if folder is None else read_weights(folder)
        if weights is not None and (finding := engine.check(weights)) is not None:
            yield finding


def _engines(settings: Settings) -> Iterator[_Engine]:
    generation, gpu = settings.generation, gpu_build()
    if generation.kind == "vllm":
        yield _Engine(
            setting="generation",
            arguments=generation.engine_args,
            cache=generation.kv_cache_bytes or (None if gpu else cpu.GENERATOR_KV_CACHE_BYTES),
            longest=generation.max_model_len,
            fault="error",
        )
    for index, arm in enumerate(settings.arms):
        if arm.kind == "vllm":
            yield _Engine(
                setting=f"arms.{index}.options",
                arguments=arm.options.get("engine_args") or {},
                cache=None if gpu else cpu.POOLING_KV_CACHE_BYTES,
                longest=arm.options.get("max_model_len"),
                fault="error" if len(settings.arms) == 1 else "warning",
            )
