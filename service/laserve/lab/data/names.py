"""Names of files: short, and different for different files."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from laserve.errors import ConfigError


def check_once(paths: Sequence[Path], *, option: str) -> None:
    """Raise ConfigError if a file is given twice."""
    resolved = [path.resolve() for path in paths]
    for path, count in Counter(resolved).items():
        if count > 1:
            raise ConfigError.at(option, f"{paths[resolved.index(path)]} is given twice")


def labels(paths: Sequence[Path]) -> list[str]:
    """The name of each file, with its suffixes; where several have one name, with their folders."""
    resolved = [path.resolve() for path in paths]
    return _unique([path.name for path in resolved], resolved)


def names(paths: Sequence[Path]) -> list[str]:
    """The name of each file without suffixes; where several have one name, with suffixes and folders."""
    resolved = [path.resolve() for path in paths]
    return _unique([stem(path.name) for path in resolved], resolved)


def stem(name: str) -> str:
    """The name of a file without suffixes; whole if it begins with a point."""
    return name.split(".", maxsplit=1)[0] or name


def _unique(names: Sequence[str], paths: Sequence[Path]) -> list[str]:
    """The names, with as many of the last parts of its path as each needs to be unique."""
    made = list(names)
    for depth in range(1, max((len(path.parts) for path in paths), default=0) + 1):
        counts = Counter(made)
        made = [
            "/".join(path.parts[-depth:]) if counts[name] > 1 else name
            for path, name in zip(paths, made, strict=True)
        ]
    return made
