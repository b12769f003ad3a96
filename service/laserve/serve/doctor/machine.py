"""What this process may use of the machine: cores, memory, processor, devices, and limits of its group."""

import os
import platform
import resource
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Devices of NVIDIA and AMD, and of NVIDIA under Windows.
_DEVICES = ("nvidia[0-9]*", "kfd", "dxg")
#: Values from which a limit of cgroup v1 means none.
_UNLIMITED = 2**60


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A graphics processor; sizes in bytes."""

    name: str
    memory: int
    free: int


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The machine as this process sees it; sizes in bytes."""

    #: Cores that this process may use, by affinity and by the quota of its group.
    cores: float
    #: Name of the processor.
    processor: str
    #: Features of the processor, as the kernel names them.
    flags: frozenset[str]
    #: Memory of the machine.
    memory: int
    #: Limit of this process's control groups; None without one.
    memory_limit: int | None
    #: Memory that could be had now without swapping.
    memory_free: int
    #: Size of /dev/shm; None where there is none.
    shared_memory: int | None
    #: Most open files of this process, which it may not exceed.
    open_files: int
    #: Whether there is a device file of a GPU.
    gpu_device: bool
    #: NVIDIA's GPUs, as nvidia-smi lists them.
    gpus: tuple[Gpu, ...]

    @property
    def usable_memory(self) -> int:
        """Memory that this process could have if nothing else ran."""
        return self.memory if self.memory_limit is None else min(self.memory, self.memory_limit)

    @classmethod
    def read(cls, root: Path = Path("/"), *, memory_limit: int | None = None) -> "Machine":
        """The machine below a folder with ``proc``, ``sys`` and ``dev``.

        Args:
            memory_limit: a further limit on the memory.
        """
        info = _table(root / "proc/meminfo")
        limits = [limit for limit, _ in _groups(root)] + ([] if memory_limit is None else [memory_limit])
        free = [_kib(info.get("MemAvailable", "0"))] + [limit - used for limit, used in _groups(root)]
        return cls(
            cores=_cores(root),
            processor=_table(root / "proc/cpuinfo").get("model name", platform.machine()),
            flags=frozenset(_table(root / "proc/cpuinfo").get("flags", "").split()),
            memory=_kib(info.get("MemTotal", "0")),
            memory_limit=min(limits, default=None),
            memory_free=max(0, min([*free, *([] if memory_limit is None else [memory_limit])])),
            shared_memory=_size(root / "dev/shm"),
            open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            gpu_device=any(any((root / "dev").glob(pattern)) for pattern in _DEVICES),
            gpus=tuple(_gpus()),
        )

    def to_json(self) -> dict[str, Any]:
        """All values; of the flags only those for vectors and matrices."""
        named = sorted(flag for flag in self.flags if flag.startswith(("avx", "amx")))
        return vars(self) | {"flags": named, "gpus": [vars(gpu) for gpu in self.gpus]}


def _groups(root: Path) -> Iterator[tuple[int, int]]:
    """Limit and use of the memory of each control group around this process, of either version."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers == "":
            base, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            base = root / "sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        group = base / path.strip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(base):
                break
            limit = _number(folder / names[0])
            if limit is not None and limit < _UNLIMITED:
                cached = _table(folder / "memory.stat", " ").get(names[2], "0")
                yield limit, max(0, (_number(folder / names[1]) or 0) - int(cached))


def _cores(root: Path) -> float:
    cores = float(len(os.sched_getaffinity(0)))
    for line in _lines(root / "sys/fs/cgroup/cpu.max"):
        quota, period = line.split()
        if quota != "max":
            cores = min(cores, int(quota) / int(period))
    return cores


def _gpus() -> Iterator[Gpu]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return
    query = [program, "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        listed = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return
    for line in listed.splitlines():
        name, memory, free = (value.strip() for value in line.rsplit(",", 2))
        if memory.isdigit() and free.isdigit():
            yield Gpu(name=name, memory=int(memory) * 2**20, free=int(free) * 2**20)


def _table(file: Path, separator: str = ":") -> dict[str, str]:
    """First value of each name in a file of names and values."""
    values: dict[str, str] = {}
    for line in _lines(file):
        name, _, value = line.partition(separator)
        values.setdefault(name.strip(), " ".join(value.split()))
    return values


def _kib(value: str) -> int:
    return int(value.split(maxsplit=1)[0]) * 1024


def _number(file: Path) -> int | None:
    text = "".join(_lines(file)).strip()
    return int(text) if text.isdigit() else None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(errors="replace").splitlines()
    except OSError:
        return []


def _size(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).total
    except OSError:
        return None
