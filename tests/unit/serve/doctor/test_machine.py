"""What the doctor reads of a machine, from copies of the kernel's files."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from laserve.serve.doctor.machine import Machine

GIB = 2**30
MEMINFO = "MemTotal:       16777216 kB\nMemFree:         1000000 kB\nMemAvailable:    8388608 kB\n"
CPUINFO = "processor\t: 0\nmodel name\t: Imaginary  9000\nflags\t\t: fpu avx2 avx512f amx_bf16\n"
V2, V1 = "sys/fs/cgroup", "sys/fs/cgroup/memory"


def machine(root: Path, files: Mapping[str, str] | None = None, *, limit: int | None = None) -> Machine:
    """A machine of 16 GiB, 8 of them free, with these further files."""
    content = {"proc/meminfo": MEMINFO, "proc/cpuinfo": CPUINFO} | dict(files or {})
    for name, text in content.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return Machine.read(root, memory_limit=limit)


def test_memory_and_processor_are_those_of_the_kernels_files(tmp_path: Path) -> None:
    read = machine(tmp_path)
    assert (read.memory, read.memory_free, read.memory_limit) == (16 * GIB, 8 * GIB, None)
    assert read.usable_memory == 16 * GIB
    assert read.processor == "Imaginary 9000"
    assert read.flags >= {"avx2", "avx512f", "amx_bf16"}
    assert read.cores == len(os.sched_getaffinity(0))
    assert (read.shared_memory, read.gpu_device) == (None, False)


LIMITS: dict[str, dict[str, str]] = {
    "none": {"proc/self/cgroup": "0::/\n", f"{V2}/memory.max": "max\n"},
    "of the process's own group": {
        "proc/self/cgroup": "0::/system.slice/laserve.service\n",
        f"{V2}/system.slice/laserve.service/memory.max": f"{4 * GIB}\n",
        f"{V2}/system.slice/laserve.service/memory.current": f"{2 * GIB}\n",
        f"{V2}/system.slice/laserve.service/memory.stat": f"anon 1\ninactive_file {GIB}\n",
        f"{V2}/system.slice/memory.max": "max\n",
    },
    "of a group around it": {
        "proc/self/cgroup": "0::/system.slice/laserve.service\n",
        f"{V2}/system.slice/laserve.service/memory.max": "max\n",
        f"{V2}/system.slice/memory.max": f"{4 * GIB}\n",
        f"{V2}/system.slice/memory.current": f"{GIB}\n",
    },
    "of a container": {"proc/self/cgroup": "0::/\n", f"{V2}/memory.max": f"{4 * GIB}\n"},
    "of cgroup v1": {
        "proc/self/cgroup": "4:memory:/docker/abc\n3:cpuset:/\n0::/\n",
        f"{V1}/docker/abc/memory.limit_in_bytes": f"{4 * GIB}\n",
        f"{V1}/docker/abc/memory.usage_in_bytes": f"{GIB}\n",
        f"{V1}/memory.limit_in_bytes": "9223372036854771712\n",
    },
}


@pytest.mark.parametrize(
    ("files", "limit", "free"),
    list(zip(LIMITS.values(), (None, 4, 4, 4, 4), (8, 3, 3, 4, 3), strict=True)),
    ids=LIMITS,
)
def test_the_smallest_limit_of_the_control_groups_counts(
    files: dict[str, str], limit: int | None, free: int, tmp_path: Path
) -> None:
    read = machine(tmp_path, files)
    assert read.memory_limit == (None if limit is None else limit * GIB)
    assert read.usable_memory == (16 if limit is None else limit) * GIB
    assert read.memory_free == free * GIB


def test_a_limit_may_be_given(tmp_path: Path) -> None:
    assert (
        machine(tmp_path, limit=3 * GIB).usable_memory
        == machine(tmp_path, limit=3 * GIB).memory_free
        == 3 * GIB
    )


@pytest.mark.parametrize(("quota", "cores"), [("max 100000", None), ("50000 100000", 0.5)])
def test_the_quota_of_the_group_limits_the_cores(quota: str, cores: float | None, tmp_path: Path) -> None:
    read = machine(tmp_path, {f"{V2}/cpu.max": quota})
    assert read.cores == (cores or len(os.sched_getaffinity(0)))


@pytest.mark.parametrize(("device", "there"), [("nvidia0", True), ("kfd", True), ("nvram", False)])
def test_a_gpu_is_known_by_its_device(device: str, there: bool, tmp_path: Path) -> None:
    assert machine(tmp_path, {f"dev/{device}": ""}).gpu_device is there


def test_gpus_are_those_that_nvidia_smi_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\necho "NVIDIA H100, 80 GB, 81559, 80000"\necho "broken, [N/A], [N/A]"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (gpu,) = machine(tmp_path).gpus
    assert (gpu.name, gpu.memory, gpu.free) == ("NVIDIA H100, 80 GB", 81559 * 2**20, 80000 * 2**20)


def test_this_machine_can_be_read() -> None:
    read = Machine.read()
    assert 0 < read.memory_free <= read.memory
    assert read.cores > 0
    assert set(read.to_json()) == set(Machine.__dataclass_fields__)
