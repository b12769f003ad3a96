"""The output that the commands of the laboratory share."""

import os
import platform
from pathlib import Path

from laserve.lab.output import machine, write_json


def test_figures_are_json_in_lines_that_end(tmp_path: Path) -> None:
    write_json(tmp_path / "figures.json", {"f1": [0.5], "arm": "ü"})
    expected = '{\n "f1": [\n  0.5\n ],\n "arm": "\\u00fc"\n}\n'
    assert (tmp_path / "figures.json").read_text(encoding="utf-8") == expected


def test_a_machine_is_named_by_processor_system_and_python_and_its_cores_where_they_matter() -> None:
    processor, system, python = platform.machine(), platform.system(), platform.python_version()
    assert machine() == f"{processor}, {system}, Python {python}"
    assert machine(cores=True) == f"{processor}, {os.cpu_count()} cores, {system}, Python {python}"
