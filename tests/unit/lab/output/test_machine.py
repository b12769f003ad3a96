"""The description of the machine that figures depend on."""

import os
import platform
from pathlib import Path

import pytest

from laserve.lab.output import machine

CORES = len(os.sched_getaffinity(0))


def root(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        path = folder / {"cpuinfo": "proc/cpuinfo"}.get(name, f"sys/fs/cgroup/{name.replace('_', '.')}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def test_a_machine_is_named_by_processor_cores_memory_system_and_python() -> None:
    parts = machine().split(", ")
    assert parts[-2:] == [platform.system(), f"Python {platform.python_version()}"]
    assert parts[-4].endswith(("core", "cores"))
    assert parts[-3].endswith(" GiB")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpuinfo": "processor : 0\nmodel name\t: Some  CPU @ 2 GHz\nmodel name : 2"}, "Some CPU @ 2 GHz, "),
        ({"cpuinfo": "BogoMIPS : 50.00"}, f"{platform.machine()}, "),
        ({}, f"{platform.machine()}, {CORES} core"),
        ({"cpu_max": "max 100000"}, f"{CORES} core"),
        ({"cpu_max": "50000 100000\n"}, ", 0.5 cores, "),
        ({"cpu_max": "100000 100000\n"}, ", 1 core, "),
        ({"memory_max": "536870912\n"}, ", 0.5 GiB, "),
    ],
)
def test_limits_of_a_container_count(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    assert expected in machine(root(tmp_path, **files))
    assert "GiB" in machine(root(tmp_path, memory_max="max"))
