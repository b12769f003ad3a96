"""Checks of resources, each moved by its real cause."""

import socket
from pathlib import Path
from typing import Any

import pytest

from laserve.config import Settings, load
from laserve.serve.doctor.limits import check_disk, check_limits
from laserve.serve.doctor.machine import Gpu, Machine
from laserve.serve.doctor.report import Finding, Part

GIB = 2**30
NEED = Part(part="all", resource="memory", bytes=6 * GIB, how="")


def machine(**changes: Any) -> Machine:
    return Machine(**vars(Machine.read()) | {"gpus": (), "memory": 16 * GIB, "memory_limit": None} | changes)


def found(
    check: str,
    settings: Settings | None = None,
    has: Machine | None = None,
    needs: tuple[Part, ...] = (NEED,),
) -> Finding:
    """The finding of one check; port 0, unless the settings say otherwise."""
    settings = settings or load(profile="fake", flags={"server": {"port": 0}})
    (finding,) = (each for each in check_limits(settings, has or machine(), needs) if each.check == check)
    return finding


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"memory_free": 15 * GIB}, "ok", "6 GiB needed, 16 GiB to be used, 15 GiB of it free"),
        ({"memory_free": 5 * GIB}, "warning", "5 GiB of it free"),
        ({"memory_limit": 5 * GIB, "memory_free": 5 * GIB}, "error", "limit of the control group"),
        ({"memory": 4 * GIB, "memory_free": 4 * GIB}, "error", "4 GiB to be used"),
        ({"memory": 6.5 * GIB, "memory_free": 6.5 * GIB}, "warning", "requests need some too"),
    ],
)
def test_memory_is_compared_with_what_this_process_may_use(
    changes: dict[str, Any], status: str, words: str
) -> None:
    finding = found("memory", has=machine(**changes))
    assert finding.status == status
    assert words in finding.fact
    assert bool(finding.remedy) is (status != "ok")


def test_an_unknown_part_is_named() -> None:
    unknown = Part(part="generator weights", resource="memory", bytes=None, how="")
    finding = found("memory", has=machine(memory_free=15 * GIB), needs=(NEED, unknown))
    assert finding.status == "warning"
    assert finding.fact.endswith("without: generator weights")


@pytest.mark.parametrize(("free", "memory", "status"), [(7, 8, "ok"), (5, 8, "warning"), (5, 5, "warning")])
def test_memory_of_a_gpu_is_compared_too(free: int, memory: int, status: str) -> None:
    gpu = Gpu(name="small", memory=memory * GIB, free=free * GIB)
    need = Part(part="generator", resource="gpu memory", bytes=6 * GIB, how="")
    assert found("gpu memory", has=machine(gpus=(gpu,)), needs=(need,)).status == status


@pytest.mark.parametrize(
    ("size", "status"), [(None, "warning"), (64 * 2**20, "warning"), (160 * 2**20, "ok"), (GIB, "ok")]
)
def test_engines_need_shared_memory(size: int | None, status: str) -> None:
    settings = load(flags={"server": {"port": 0}})
    finding = found("shared memory", settings, machine(shared_memory=size))
    assert finding.status == status
    assert ("--shm-size" in finding.remedy) is (status == "warning")


def test_a_service_without_engines_needs_none() -> None:
    settings = load(profile="fake", flags={"server": {"port": 0}})
    checks = [each.check for each in check_limits(settings, machine(shared_memory=None), ())]
    assert "shared memory" not in checks


@pytest.mark.parametrize(("at_once", "status"), [(8, "ok"), (1000, "warning")])
def test_open_files_are_compared_with_the_requests_at_once(at_once: int, status: str) -> None:
    settings = load(profile="fake", flags={"server": {"port": 0, "max_concurrent_requests": at_once}})
    assert found("open files", settings, machine(open_files=1024)).status == status


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_that_another_process_has_is_an_error(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as taken:
        port = taken.getsockname()[1]
        settings = load(profile="fake", flags={"server": {"host": host, "port": port}})
        finding = found("port", settings)
        assert finding.status == "error"
        assert f"cannot listen on {host}:{port}: Address already in use" in finding.fact
    assert found("port", settings).status == "ok"  # it is not left bound either
    assert found("port", settings).status == "ok"


def test_an_address_of_another_machine_is_an_error() -> None:
    settings = load(profile="fake", flags={"server": {"host": "192.0.2.1", "port": 0}})
    assert found("port", settings).status == "error"


@pytest.mark.parametrize(
    ("host", "keys", "status"),
    [
        ("127.0.0.1", {}, "ok"),
        ("127.0.0.9", {}, "ok"),
        ("::1", {}, "ok"),
        ("localhost", {}, "ok"),
        ("0.0.0.0", {}, "warning"),
        ("::", {}, "warning"),
        ("0.0.0.0", {"app": "a-secret"}, "ok"),
    ],
)
def test_who_listens_beyond_this_machine_should_have_keys(
    host: str, keys: dict[str, str], status: str
) -> None:
    settings = load(profile="fake", flags={"server": {"host": host, "port": 0, "api_keys": keys}})
    finding = found("keys", settings)
    assert finding.status == status
    assert "a-secret" not in finding.fact


def test_free_space_is_compared_with_what_the_database_may_grow_to(tmp_path: Path) -> None:
    def disk(**storage: Any) -> list[Finding]:
        flags = {"storage": {"kind": "sqlite"} | storage, "data_dir": str(tmp_path / "new" / "data")}
        return list(check_disk(load(profile="fake", flags=flags)))

    assert disk(kind="memory") == []
    assert disk(max_bytes=2**20)[0].status == "ok"
    (finding,) = disk(max_bytes=2**60)
    assert finding.status == "warning"
    assert "storage.max_bytes lets it grow" in finding.fact
    assert not (tmp_path / "new").exists()
