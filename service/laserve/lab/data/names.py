"""Names of files: short, and different for different files."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from laserve.errors import ConfigError


def names(paths: Sequence[Path], *, option: str = "--data") -> list[str]:
    """A name for each file: its own without suffixes; where two have one, with suffixes, then with folders.

    Raises:
        ConfigError: a file is given twice.
    """
    resolved = [path.resolve() for path in paths]
    for path, count in Counter(resolved).items():
        if count > 1:
            raise ConfigError.at(option, f"{paths[resolved.index(path)]} is given twice")
    made = [path.name.split(".", maxsplit=1)[0] or path.name for path in resolved]
    for depth in range(1, max((len(path.parts) for path in resolved), default=1) + 1):
        counts = Counter(made)
        made = [
            "/".join(path.parts[-depth:]) if counts[name] > 1 else name
            for path, name in zip(resolved, made, strict=True)
        ]
    return made
