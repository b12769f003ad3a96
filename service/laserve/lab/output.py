"""Output of the laboratory's commands: figures as JSON, and a description of the machine."""

import json
import os
import platform
from pathlib import Path
from typing import Any


def write_json(path: Path, figures: Any) -> None:
    """Write figures as JSON in UTF-8, indented by one column, with a line break at the end."""
    path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def machine(*, cores: bool = False) -> str:
    """Processor, system and version of Python, for figures that depend on them.

    Args:
        cores: whether to name the number of cores.
    """
    count = f"{os.cpu_count()} cores, " if cores else ""
    return f"{platform.machine()}, {count}{platform.system()}, Python {platform.python_version()}"
