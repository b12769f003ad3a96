"""Checks of memory, disk, shared memory, open files, port and keys."""

import ipaddress
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from laserve.config import Settings
from laserve.engines import cpu
from laserve.errors import ConfigError
from laserve.generation.base import CONCURRENCY
from laserve.serve.doctor.engines import engines
from laserve.serve.doctor.machine import Machine
from laserve.serve.doctor.report import Finding, Part, Resource, gib, total
from laserve.serve.doctor.software import gpu_build, uses_engines
from laserve.serve.listening import listen

#: Share of the memory that a service should leave for requests and for the system.
_RESERVE = 0.1
#: Shared memory of an engine's message queue: ten chunks of 16 MiB (VLLM_MQ_MAX_CHUNK_BYTES_MB).
_QUEUE_BYTES = 10 * 16 * 2**20
#: Bytes below which a difference of GPU memory is one of rounding, and the share that CUDA itself may take.
_ROUNDING, _MARGIN = 2**20, 0.05
#: Open files of a service without requests, and of each request under way.
_FILES, _FILES_PER_REQUEST = 128, 4
#: Free space in bytes below which the data folder is nearly full.
_LITTLE = 2**30


def check_limits(settings: Settings, machine: Machine, needs: Sequence[Part]) -> Iterator[Finding]:
    """Findings on the resources that this process may use."""
    yield _memory(machine, needs)
    if machine.gpus:
        yield _gpu_memory(machine, needs)
        yield from _gpu_share(settings, machine, needs)
    if uses_engines(settings):
        yield from _shared_memory(settings, machine)
    yield _open_files(settings, machine)
    yield _port(settings)
    yield _keys(settings)


def free_bytes(folder: Path) -> int:
    """Free bytes for an unprivileged process on the file system of a folder, which need not exist."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free


def check_disk(settings: Settings) -> Iterator[Finding]:
    """Findings on the free space for the database."""
    if settings.storage.kind != "sqlite":
        return
    folder = settings.database.parent
    free = free_bytes(folder)
    fact, most = f"{gib(free)} free for {settings.database}", settings.storage.max_bytes
    present = settings.database.stat().st_size if settings.database.is_file() else 0
    if most is not None and most - present > free:
        fact += f", and storage.max_bytes lets it grow by {gib(most - present)}"
        remedy = "make room, or set storage.max_bytes lower"
        yield Finding(check="disk", status="warning", fact=fact, remedy=remedy)
    elif free < _LITTLE:
        remedy = "make room: writes are refused with 503 when the disk is full"
        yield Finding(check="disk", status="warning", fact=fact, remedy=remedy)
    else:
        yield Finding(check="disk", status="ok", fact=fact)


def _memory(machine: Machine, needs: Sequence[Part]) -> Finding:
    need, usable = total(needs, "memory"), machine.usable_memory
    limit = (
        ""
        if machine.memory_limit is None
        else f" (limit of the control group; the machine has {gib(machine.memory)})"
    )
    fact = f"about {gib(need)} needed, {gib(usable)} to be used{limit}, {gib(machine.memory_free)} of it free"
    less = (
        "fewer arms with models of their own, smaller KV caches (generation.kv_cache_bytes), or more memory"
    )
    if need > usable:
        return Finding(check="memory", status="error", fact=fact, remedy=less)
    if need > machine.memory_free:
        remedy = f"end other processes, or: {less}"
        return Finding(check="memory", status="warning", fact=fact, remedy=remedy)
    if unknown := _unknown(needs, "memory"):
        fact += f", without: {', '.join(unknown)}"
        return Finding(
            check="memory", status="warning", fact=fact, remedy="provide the models (`laserve models`)"
        )
    if need > usable * (1 - _RESERVE):
        return Finding(check="memory", status="warning", fact=f"{fact}; requests need some too", remedy=less)
    return Finding(check="memory", status="ok", fact=fact)


def _gpu_memory(machine: Machine, needs: Sequence[Part]) -> Finding:
    need, gpu = total(needs, "gpu memory"), machine.gpus[0]
    fact = f"about {gib(need)} needed, {gpu.name} has {gib(gpu.memory)}, {gib(gpu.free)} of it free"
    if unknown := _unknown(needs, "gpu memory"):
        fact += f", without: {', '.join(unknown)}"
    if need > gpu.memory:
        remedy = "lower gpu_memory_utilization or the KV caches, or use engine_args.tensor_parallel_size"
        return Finding(check="gpu memory", status="warning", fact=fact, remedy=remedy)
    if need > gpu.free:
        remedy = "end other processes on it, or lower gpu_memory_utilization"
        return Finding(check="gpu memory", status="warning", fact=fact, remedy=remedy)
    return Finding(check="gpu memory", status="ok", fact=fact)


def _gpu_share(settings: Settings, machine: Machine, needs: Sequence[Part]) -> Iterator[Finding]:
    """The finding where the generator leaves less than a reward engine must have free at its start."""
    wanting = [engine for engine in engines(settings) if not engine.generates]
    if not gpu_build() or not wanting:
        return
    share = max(engine.share for engine in wanting)
    gpu = machine.gpus[0]
    generator = [part for part in needs if part.part.startswith("generator")]
    left = gpu.memory - total(generator, "gpu memory")
    if left + _ROUNDING < share * gpu.memory:
        yield Finding(
            check="gpu memory",
            status="error" if len(wanting) == len(settings.arms) else "warning",
            fact=f"the generator leaves {gib(max(left, 0))} of {gib(gpu.memory)}, and a reward engine starts "
            f"only where {share:g} of the memory is free ({gib(share * gpu.memory)})",
            remedy="set generation.engine_args.gpu_memory_utilization to "
            f"{max(0.0, 1 - share - _MARGIN):.2g} or less",
        )


def _unknown(needs: Sequence[Part], resource: Resource) -> list[str]:
    return [part.part for part in needs if part.resource == resource and part.bytes is None]


def _shared_memory(settings: Settings, machine: Machine) -> Iterator[Finding]:
    if all(engine.alone for engine in engines(settings)):
        fact = "each engine works in one process, and needs none"
        yield Finding(check="shared memory", status="ok", fact=fact)
        return
    size = machine.shared_memory
    fact = "there is no shared memory" if size is None else f"shared memory has {gib(size)}"
    if size is None or size < _QUEUE_BYTES:
        yield Finding(
            check="shared memory",
            status="warning",
            fact=f"{fact}, and the processes of an engine exchange up to {gib(_QUEUE_BYTES)} there",
            remedy="enlarge /dev/shm (docker run --shm-size=1g)",
        )
    else:
        yield Finding(check="shared memory", status="ok", fact=fact)


def _open_files(settings: Settings, machine: Machine) -> Finding:
    on_cpu = settings.generation.kind == "vllm" and not gpu_build()
    at_once = settings.server.max_concurrent_requests or (cpu.concurrency() if on_cpu else CONCURRENCY)
    needed = _FILES + _FILES_PER_REQUEST * at_once
    fact = f"{machine.open_files:,} may be open, about {needed:,} are needed for {at_once:,} requests at once"
    if machine.open_files < needed:
        remedy = "raise the limit (ulimit -n, LimitNOFILE=), or set server.max_concurrent_requests lower"
        return Finding(check="open files", status="warning", fact=fact, remedy=remedy)
    return Finding(check="open files", status="ok", fact=fact)


def _port(settings: Settings) -> Finding:
    host, port = settings.server.host, settings.server.port
    try:
        listen(host, port).close()
    except ConfigError as error:
        remedy = "end the process that listens there, perhaps a running laserve, or set server.port"
        return Finding(check="port", status="error", fact=error.message, remedy=remedy)
    return Finding(
        check="port", status="ok", fact=f"{host}:{port} is free" if port else f"{host}, any free port"
    )


def _keys(settings: Settings) -> Finding:
    host, keys = settings.server.host, settings.server.api_keys
    if keys:
        return Finding(check="keys", status="ok", fact=f"API keys of: {', '.join(keys)}")
    if _is_loopback(host):
        return Finding(check="keys", status="ok", fact=f"no API keys, and only this machine reaches {host}")
    return Finding(
        check="keys",
        status="warning",
        fact=f"no API keys: everyone who reaches {host} may ask, and read and delete decisions",
        remedy="set server.api_keys, or server.host to 127.0.0.1",
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
