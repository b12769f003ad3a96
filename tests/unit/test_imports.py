import subprocess
import sys

import pytest

ENGINES = ("torch", "vllm", "transformers", "ray")


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("laserve", (*ENGINES, "numpy", "fastapi", "pydantic", "sqlalchemy", "click")),
        ("laserve.cli", (*ENGINES, "numpy", "fastapi", "pydantic", "sqlalchemy")),
        ("laserve.serve.wiring", ENGINES),
    ],
)
def test_importing_loads_nothing_heavy(module: str, heavy: tuple[str, ...]) -> None:
    # What the interpreter itself brings in at its start is not ours, so it is taken off.
    code = f"import sys; before = set(sys.modules); import {module}; print(*(set(sys.modules) - before))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    assert module in loaded
    assert not set(loaded) & set(heavy)
