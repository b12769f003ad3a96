"""Refuses, in one sentence, a platform that the lock was not tried on."""

import platform
import sys

TRIED = ("Linux", "x86_64", "CPython")
PYTHONS = ((3, 11), (3, 12))
here = (platform.system(), platform.machine(), platform.python_implementation())
if here != TRIED or sys.version_info[:2] not in PYTHONS:
    sys.exit(
        f"make install: the CPU lock was tried on {' '.join(TRIED)} 3.11 and 3.12 only, this is "
        f"{' '.join(here)} {platform.python_version()}; use `pip install laserve[vllm]` on a GPU machine, or "
        "`pip install laserve` with generation.kind openai and a vLLM server elsewhere."
    )
