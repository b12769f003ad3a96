"""Restriction of a pool to the rows of data files, which may have had other names when it was built."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from laserve.errors import ConfigError
from laserve.lab.data.names import stem
from laserve.lab.data.reading import RowFile
from laserve.lab.data.row import Row
from laserve.lab.pools.pool import Pool

#: Why a row of the data is left out.
REASON = "not in the pool"


def restricted(
    pool: Pool,
    path: Path,
    files: Sequence[RowFile],
    rows: Sequence[Row],
    left_out: Mapping[str, int],
) -> Pool:
    """The pool with only the questions that are in the data.

    Args:
        path: the pool's file, for errors.
        files: the files of the data.
        rows: the usable rows of these files.
        left_out: reason -> number of rows left out of the data.

    Raises:
        ConfigError: no question of the pool is in the data, or a file may be any of several of the pool's.
    """
    known = tuple(dict.fromkeys(question.file for question in pool.questions))
    names = same_files(known, {file.name: file.path for file in files})
    wanted = {(names.get(row.file, row.file), row.id) for row in rows}
    kept = tuple(question for question in pool.questions if question.key in wanted)
    if not kept:
        raise ConfigError.at(
            "--pool",
            f"{path} has no question of --data; it was built from {_listed(known)}, and --data is "
            f"{_listed(file.name for file in files)}; remove it, or leave --data out",
        )
    lacking = Counter({REASON: len(wanted) - len(kept)})
    return replace(pool, questions=kept, left_out=Counter(left_out) + lacking)


def same_files(known: Collection[str], files: Mapping[str, Path]) -> dict[str, str]:
    """Name of a data file -> name that the pool has for it; a file that is not in the pool is left out.

    A name has folders only where files of one command had one name, so that it depends on the other files.
    A file has its own name in the pool, or else the one with which its path has most of the last parts in
    common; suffixes do not count in a name without suffixes.

    Args:
        known: names in the pool.
        files: name -> path.

    Raises:
        ConfigError: several names fit a file equally well, or one name fits several files.
    """
    names = {name: name for name in files if name in known}
    free = [name for name in known if name not in names]
    for name in files.keys() - names.keys():
        common = {one: _common(one, files[name].resolve()) for one in free}
        most = max(common.values(), default=-1)
        best = [one for one in free if common[one] == most] if most >= 0 else []
        if len(best) > 1:
            raise ConfigError.at("--data", f"{files[name]} may be any of {_listed(best)} in the pool")
        if best:
            names[name] = best[0]
    for one, count in Counter(names.values()).items():
        if count > 1:
            several = _listed(str(files[name]) for name in files if names.get(name) == one)
            raise ConfigError.at("--data", f"{one} in the pool may be any of {several}")
    return names


def _common(name: str, path: PurePath) -> int:
    """Number of last parts of a path that a name has too; 0 if only the stems are equal, else -1."""
    parts = PurePath(name).parts
    common = 0
    while common < min(len(parts), len(path.parts)) and parts[-common - 1] == path.parts[-common - 1]:
        common += 1
    return common if common or stem(parts[-1]) == stem(path.name) else -1


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
