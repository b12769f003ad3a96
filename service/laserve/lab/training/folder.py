"""The folder of an adapter, which is complete or absent, and the folder beside it while it is made."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from laserve.errors import ConfigError
from laserve.lab.output import write_json

OPTION = "--out"
#: Report of a complete folder.
REPORT = "training.json"
#: Inside the working folder: the recipe and the rows of its run, its checkpoints, and its adapter.
_RUN, _CHECKPOINTS, _ADAPTER, _LOCK = "run.json", "checkpoints", "adapter", "lock"


def working_folder(out: Path) -> Path:
    """The folder, beside that of the adapter, of a training that is not complete."""
    out = out.resolve()
    return out.with_name(f".{out.name}.training")


def checkpoints(work: Path) -> Path:
    """Folder of the checkpoints in a working folder."""
    return work / _CHECKPOINTS


def last_checkpoint(work: Path) -> Path | None:
    """The last complete checkpoint of a working folder; None without one."""
    by_step = {
        int(step): path
        for path in checkpoints(work).glob("checkpoint-*")
        if (step := path.name.rpartition("-")[2]).isdecimal()
    }
    newest_first = [by_step[step] for step in sorted(by_step, reverse=True)]
    return next(filter(_is_complete, newest_first), None)


def progress_of(out: Path) -> str:
    """What remains of an interrupted training, in words."""
    last = last_checkpoint(working_folder(out))
    return f"the equal command goes on from {last}" if last else "there is no checkpoint yet to go on from"


def _is_complete(checkpoint: Path) -> bool:
    return _content(checkpoint / "trainer_state.json") is not None  # the file that is written last


def _content(path: Path) -> Any:
    """Content of a JSON file; None if it is absent or cut."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def check_free(out: Path) -> None:
    """Check that a folder can be made, or is empty; nothing is written.

    Raises:
        ConfigError: there are files in its way, or its parent cannot be written.
    """
    with _refusing(out):
        target = out.resolve()
        if target.is_dir() and any(target.iterdir()):
            content = "a trained adapter" if (target / REPORT).exists() else "files"
            raise ConfigError.at(OPTION, f"{out} holds {content} already; name another folder")
        parent = next(folder for folder in target.parents if folder.exists())
        if (target.exists() and not target.is_dir()) or not parent.is_dir():
            raise ConfigError.at(
                OPTION, f"{out} cannot be made: {target if target.exists() else parent} is a file"
            )
        if not os.access(parent, os.W_OK | os.X_OK):
            raise ConfigError.at(OPTION, f"{out} cannot be made: {parent} cannot be written")


@contextmanager
def working(out: Path, run: Mapping[str, Any]) -> Iterator[Path]:
    """The working folder of a run; at the end its adapter's folder becomes `out`.

    The folder of an interrupted run with equal recipe and rows is used again. The folder is removed at the
    end, or if the block fails before there is a checkpoint to go on from.

    Args:
        run: recipe and rows, as JSON values.

    Raises:
        ConfigError: the folder holds checkpoints of another run, or belongs to a run that is not over, or it
            or `out` cannot be written.
    """
    work = working_folder(out)
    with _refusing(out):
        work.mkdir(parents=True, exist_ok=True)
        lock = FileLock(work / _LOCK, blocking=False)
        try:
            lock.acquire()
        except Timeout as error:
            raise ConfigError.at(OPTION, f"another training of {out} is under way") from error
    try:
        with _refusing(out):
            _prepare(work, run)
        yield work
        with _refusing(out):
            (work / _ADAPTER).rename(out.resolve())
        shutil.rmtree(work, ignore_errors=True)
    finally:
        if last_checkpoint(work) is None:
            shutil.rmtree(work, ignore_errors=True)
        lock.release()


def _prepare(work: Path, run: Mapping[str, Any]) -> None:
    """Empty the folder unless it is that of an equal run. Raises ConfigError."""
    if _content(work / _RUN) != run:
        if last_checkpoint(work):
            raise ConfigError.at(
                OPTION,
                f"{work} holds an interrupted training with another recipe or other rows; "
                "repeat its options to go on, or remove that folder",
            )
        shutil.rmtree(checkpoints(work), ignore_errors=True)
        write_json(work / _RUN, run, OPTION)
    shutil.rmtree(work / _ADAPTER, ignore_errors=True)


def adapter(work: Path) -> Path:
    """The new folder of the adapter in a working folder."""
    made = work / _ADAPTER
    made.mkdir()
    return made


@contextmanager
def _refusing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError.at(OPTION, f"{out} cannot be made: {error.strerror or error}") from error
