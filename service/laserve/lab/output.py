"""Output of every command of the laboratory: figures as JSON, and the machine that they were made on."""

import json
import os
import platform
from pathlib import Path
from typing import Any


def write_json(path: Path, figures: Any) -> None:
    """Write JSON values, indented by one column and ended by a line break, in UTF-8."""
    path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def machine(*, cores: bool = False) -> str:
    """Processor, system and version of Python, for figures that depend on them.

    Args:
        cores: whether the number of cores is part of it.
    """
    count = f"{os.cpu_count()} cores, " if cores else ""
    return f"{platform.machine()}, {count}{platform.system()}, Python {platform.python_version()}"
