"""Check that the CPU lock was tested on this platform; exits with one sentence otherwise."""

import platform
import sys

TRIED = "Linux x86_64 CPython 3.11"
here = f"{platform.system()} {platform.machine()} {platform.python_implementation()}"
here += f" {sys.version_info.major}.{sys.version_info.minor}"
if here != TRIED:
    sys.exit(
        f"make: the CPU lock was tested on {TRIED} only and this is {here}; name a tested Python "
        "(make PYTHON=python3.11 ...), or install without the lock: `pip install ./clients/python '.[vllm]'` "
        "with a GPU, `pip install ./clients/python '.[encoder]'` beside a vLLM server elsewhere "
        "(deploy/remote.yaml)."
    )
