"""Files that are complete or absent."""

import errno
import json
import math
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from laserve.errors import ConfigError

JSON = "--json"


def write_json(path: Path, figures: Any, option: str = JSON) -> None:
    """Write figures as JSON, indented by one column, with a line feed at the end.

    Args:
        figures: values of JSON; a float that is infinite or not a number becomes null.
        option: name of the option with the path, for the error.

    Raises:
        ConfigError: the file cannot be written.
    """
    write_text(path, json.dumps(_finite(figures), indent=1, allow_nan=False) + "\n", option)


def write_text(path: Path, text: str, option: str) -> None:
    """Write a text in UTF-8; parameters and errors as of `write_json`."""
    write_bytes(path, text.encode(), option)


def write_bytes(path: Path, content: bytes, option: str) -> None:
    """Write bytes; parameters and errors as of `write_json`."""
    with written(path, option) as out:
        out.write(content)


@contextmanager
def written(path: Path, option: str) -> Iterator[BinaryIO]:
    """A file to write in the block; it gets its name at the end, or is removed if the block fails.

    A device, a pipe, or an open file of this process such as ``/dev/stdout``, is written as it is.

    Raises:
        ConfigError: the file cannot be written.
        BrokenPipeError: the reader has closed the pipe.
    """
    with _refusing(path, option):
        if (number := _open_file(path)) is not None:
            # Opened by its name, the file behind it would lose what it holds.
            with os.fdopen(os.dup(number), "wb") as out:
                yield out
            return
        if path.exists() and not path.is_file():
            with path.open("wb") as out:
                yield out
            return
        target = path.resolve()  # a link stays a link
        part = _part(target)
        try:
            with part.open("xb") as out:
                yield out
                out.flush()
                os.fsync(out.fileno())
            if target.exists():
                part.chmod(target.stat().st_mode)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


def check_writable(path: Path, option: str = JSON, *, parents: bool = False) -> None:
    """Check that a file can be written, before the work that it is for.

    Args:
        parents: whether missing folders are made.

    Raises:
        ConfigError: the file cannot be written.
    """
    with _refusing(path, option):
        if parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        if path.exists() and not os.access(path, os.W_OK):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        if _open_file(path) is None and (path.is_file() or not path.exists()):
            part = _part(path.resolve())
            part.touch(exist_ok=False)
            part.unlink()


@contextmanager
def _refusing(path: Path, option: str) -> Iterator[None]:
    """ConfigError instead of the system's errors."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (FileNotFoundError, NotADirectoryError, FileExistsError) as error:
        raise ConfigError.at(option, f"{path} cannot be written: {path.parent} is no folder") from error
    except OSError as error:
        raise ConfigError.at(option, f"{path} cannot be written: {error.strerror or error}") from error


def _open_file(path: Path) -> int | None:
    """Number of the open file of this process that a path names; None for other paths."""
    for one in (path, path.readlink()) if path.is_symlink() else (path,):
        if one.name.isdecimal() and one.parent.resolve() == Path("/proc/self/fd").resolve():
            return int(one.name)
    return None


def _part(target: Path) -> Path:
    """Name of the file until it is complete, in the same folder."""
    return target.with_name(f".laserve-{secrets.token_hex(6)}.part")


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {key: _finite(one) for key, one in value.items()}
        case list() | tuple():
            return [_finite(one) for one in value]
        case _:
            return value
