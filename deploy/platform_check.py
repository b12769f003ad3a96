"""Refuses, in one sentence, a platform that the lock was not tried on."""

import platform
import sys

TRIED = "Linux x86_64 CPython 3.11"
here = f"{platform.system()} {platform.machine()} {platform.python_implementation()}"
here += f" {sys.version_info.major}.{sys.version_info.minor}"
if here != TRIED:
    sys.exit(
        f"make: the CPU lock was tried on {TRIED} only and this is {here}; name such a Python "
        "(make PYTHON=python3.11 ...), or install without the lock: `pip install '.[vllm]'` with a GPU, "
        "`pip install '.[encoder]'` beside a vLLM server elsewhere (deploy/remote.yaml)."
    )
