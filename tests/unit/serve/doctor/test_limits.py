"""Checks of resources, each moved by its real cause."""

import socket
from pathlib import Path
from typing import Any

import pytest

from laserve.config import Settings, load
from laserve.serve.doctor.limits import check_disk, check_limits
from laserve.serve.doctor.machine import Gpu, Machine
from laserve.serve.doctor.needs import needs
from laserve.serve.doctor.report import Finding, Part

GIB = 2**30
NEED = Part(part="all", resource="memory", bytes=6 * GIB, how="")


def machine(**changes: Any) -> Machine:
    return Machine(**vars(Machine.read()) | {"gpus": (), "memory": 16 * GIB, "memory_limit": None} | changes)


def found(
    check: str,
    settings: Settings | None = None,
    has: Machine | None = None,
    parts: tuple[Part, ...] = (NEED,),
) -> Finding:
    """The finding of one check; port 0, unless the settings say otherwise."""
    settings = settings or load(profile="fake", flags={"server": {"port": 0}})
    (finding,) = (each for each in check_limits(settings, has or machine(), parts) if each.check == check)
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
    finding = found("memory", has=machine(memory_free=15 * GIB), parts=(NEED, unknown))
    assert finding.status == "warning"
    assert finding.fact.endswith("without: generator weights")


@pytest.mark.parametrize(("free", "memory", "status"), [(7, 8, "ok"), (5, 8, "warning"), (5, 5, "warning")])
def test_memory_of_a_gpu_is_compared_too(free: int, memory: int, status: str) -> None:
    gpu = Gpu(name="small", memory=memory * GIB, free=free * GIB)
    need = Part(part="generator", resource="gpu memory", bytes=6 * GIB, how="")
    assert found("gpu memory", has=machine(gpus=(gpu,)), parts=(need,)).status == status


@pytest.mark.parametrize(
    ("size", "status"), [(None, "warning"), (64 * 2**20, "warning"), (160 * 2**20, "ok"), (GIB, "ok")]
)
def test_engines_of_several_processes_need_shared_memory(
    size: int | None, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "nobind")  # vLLM's own processes stay
    settings = load(flags={"server": {"port": 0}})
    finding = found("shared memory", settings, machine(shared_memory=size))
    assert finding.status == status
    assert ("--shm-size" in finding.remedy) is (status == "warning")


def test_an_engine_of_one_process_needs_no_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLLM_CPU_OMP_THREADS_BIND", raising=False)
    monkeypatch.setattr("laserve.engines.cpu._NODES", Path("/nowhere"))
    settings = load(flags={"server": {"port": 0}})
    finding = found("shared memory", settings, machine(shared_memory=64 * 2**20))
    assert (finding.status, finding.remedy) == ("ok", "")


def test_a_service_without_engines_needs_none() -> None:
    settings = load(profile="fake", flags={"server": {"port": 0}})
    checks = [each.check for each in check_limits(settings, machine(shared_memory=None), ())]
    assert "shared memory" not in checks


@pytest.mark.parametrize(("at_once", "status"), [(8, "ok"), (1000, "warning")])
def test_open_files_are_compared_with_the_requests_at_once(at_once: int, status: str) -> None:
    settings = load(profile="fake", flags={"server": {"port": 0, "max_concurrent_requests": at_once}})
    assert found("open files", settings, machine(open_files=1024)).status == status


def test_without_a_setting_the_requests_at_once_are_those_that_the_generator_serves_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2})
    wide = load(profile="fake", flags={"server": {"port": 0}})
    finding = found("open files", wide, machine(open_files=1024))
    assert (finding.status, "about 1,152 are needed for 256 requests" in finding.fact) == ("warning", True)
    engine = load(flags={"server": {"port": 0}})
    assert "for 12 requests at once" in found("open files", engine, machine(open_files=1024)).fact
    for module in ("limits", "engines"):  # the build for GPUs cannot be installed beside
        monkeypatch.setattr(f"laserve.serve.doctor.{module}.gpu_build", lambda: True)
    assert "for 256 requests at once" in found("open files", engine, machine(open_files=1024)).fact


@pytest.mark.parametrize(
    ("share", "of_arm", "alone", "statuses"),
    [
        (None, None, False, ["ok", "warning"]),  # 0.92 and 0.1
        (None, None, True, ["ok", "error"]),
        (0.9, None, False, ["ok"]),
        (0.85, None, False, ["ok"]),
        (0.85, 0.3, False, ["ok", "warning"]),
    ],
)
def test_the_generator_must_leave_the_share_of_a_gpu_that_a_reward_engine_wants_free(
    share: float | None,
    of_arm: float | None,
    alone: bool,
    statuses: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("limits", "engines", "needs"):  # the build for GPUs cannot be installed beside
        monkeypatch.setattr(f"laserve.serve.doctor.{module}.gpu_build", lambda: True)
    arguments = [{} if each is None else {"gpu_memory_utilization": each} for each in (share, of_arm)]
    judge = {"model": str(tmp_path), "engine_args": arguments[1]}
    arms = [{"name": "judge", "kind": "vllm", "options": judge}]
    arms += [] if alone else [{"name": "consensus", "kind": "consensus"}]
    generation = {"kind": "vllm", "model": str(tmp_path), "engine_args": arguments[0]}
    settings = load(flags={"server": {"port": 0}, "generation": generation, "arms": arms})
    has = machine(gpus=(Gpu(name="H100", memory=80 * GIB, free=80 * GIB),))
    checks = check_limits(settings, has, needs(settings, has))
    found_ones = [each for each in checks if each.check == "gpu memory"]
    assert [each.status for each in found_ones] == statuses
    if share is None:
        assert "leaves 6.4 GiB of 80 GiB" in found_ones[1].fact
        assert found_ones[1].remedy.endswith("gpu_memory_utilization to 0.85 or less")


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
