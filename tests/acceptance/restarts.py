"""A service of one folder that ends and is started again with other settings."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from acceptance.wire import Service
from processes import serving

ARMS = [
    {"name": "loglik", "kind": "loglik"},
    {"name": "ours", "kind": "fake", "options": {"salt": "a"}},
]


@contextmanager
def started(folder: Path, **settings: Any) -> Iterator[Service]:
    """A ready service on the fake profile, which learns from `reward`.

    Args:
        settings: by the names of their variables.
    """
    chosen = {
        "DATA_DIR": str(folder),
        "STORAGE__KIND": "sqlite",
        "POLICY__LEARN_FROM": "reward",
        "ARMS": ARMS,
    }
    env = {
        f"LASERVE_{name}": value if isinstance(value, str) else json.dumps(value)
        for name, value in (chosen | settings).items()
    }
    log = folder / f"log-{len(list(folder.glob('log-*')))}"
    with serving(log, "--profile", "fake", env=env, timeout_s=120) as server:
        yield Service(server, folder)


def salted(salt: str) -> dict[str, Any]:
    """A generator that answers otherwise than those of other salts."""
    return {"GENERATION__ENGINE_ARGS": {"salt": salt}}
