"""Description of the machine, for figures that depend on it."""

import os
import platform
from pathlib import Path


def machine(root: Path = Path("/")) -> str:
    """Processor, cores and memory that this process may use, system, and version of Python.

    Args:
        root: folder with ``proc`` and ``sys``.
    """
    quota, period = (_limit(root, "cpu.max") or "max 1").split()
    cores = float(len(os.sched_getaffinity(0)))
    if quota != "max":
        cores = min(cores, int(quota) / int(period))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if (limit := _limit(root, "memory.max")) not in (None, "max"):
        memory = min(memory, int(limit))
    return (
        f"{_processor(root)}, {cores:.3g} core{'' if cores == 1 else 's'}, {memory / 2**30:.3g} GiB, "
        f"{platform.system()}, Python {platform.python_version()}"
    )


def _processor(root: Path) -> str:
    """Name of the processor's model, or of its architecture where the kernel gives no model."""
    for line in (_read(root / "proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return " ".join(value.split())
    return platform.machine()


def _limit(root: Path, name: str) -> str | None:
    """A limit of the control group (cgroup v2); None without one."""
    return _read(root / "sys/fs/cgroup" / name)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None
