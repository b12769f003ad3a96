"""Checks of the folders, of the file systems below them, and of the database and its log."""

import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from laserve.config import Settings
from laserve.errors import ConfigError
from laserve.serve.doctor.report import Finding
from laserve.storage.held_file import is_held
from laserve.storage.log_id import check_not_gone

#: File systems on which SQLite's write-ahead log is not safe: their memory is not shared between machines.
_REMOTE = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "fuse.sshfs"}
_VOLATILE = {
    "tmpfs": "is kept in memory, and lost when the machine stops",
    "ramfs": "is kept in memory, and lost when the machine stops",
    "overlay": "is the container's own layer, and lost with the container",
}
#: Settings of the policy that a log keeps.
_FIXED = ("prior_structure", "prior_embedding", "prior_reward", "discount", "reward_scaling")
#: Seconds by which the clock may be behind the newest event.
_CLOCK_S = 60.0
#: Largest database that is copied to be read.
_COPIED_BYTES = 2**28


def check_folders(
    settings: Settings, *, prepares: bool, mounts: Path = Path("/proc/self/mountinfo")
) -> Iterator[Finding]:
    """Findings on the data folder and the cache folder; nothing is written.

    Args:
        prepares: whether a start has to prepare a model in the cache folder.
        mounts: list of the mounted file systems.
    """
    if settings.storage.kind == "memory":
        fact = "the log is kept in memory, and lost when the process ends (storage.kind)"
        yield Finding(check="data folder", status="ok", fact=fact)
    else:
        yield _folder("data folder", settings.database.parent, "data_dir", mounts, holds_log=True)
        yield from _database(settings)
    cache = settings.cache_dir.expanduser()
    if prepares:
        yield _folder("cache folder", cache, "cache_dir", mounts, holds_log=False)
    else:
        yield Finding(check="cache folder", status="ok", fact=f"no model has to be prepared in {cache}")


def _folder(check: str, folder: Path, setting: str, mounts: Path, *, holds_log: bool) -> Finding:
    existing = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    remedy = f"set {setting} to a folder that this user can write"
    if not existing.is_dir():
        return Finding(check=check, status="error", fact=f"{existing} is no folder", remedy=remedy)
    if not os.access(existing, os.W_OK | os.X_OK):
        return Finding(check=check, status="error", fact=f"{existing} cannot be written", remedy=remedy)
    kind = _file_system(existing.resolve(), mounts)
    fact = f"{folder} can be written" if existing == folder else f"{folder} can be made"
    fact += f" ({kind})" if kind else ""
    if holds_log and kind in _REMOTE:
        remedy = f"set {setting} to a folder on a disk of this machine, which SQLite's write-ahead log needs"
        return Finding(check=check, status="warning", fact=fact, remedy=remedy)
    if holds_log and kind in _VOLATILE:
        remedy = f"set {setting} to a folder that lasts, such as a volume"
        return Finding(check=check, status="warning", fact=f"{fact}: it {_VOLATILE[kind]}", remedy=remedy)
    return Finding(check=check, status="ok", fact=fact)


def _file_system(folder: Path, mounts: Path) -> str:
    """Type of the file system that a folder is on; empty if it is unknown."""
    found, longest = "", -1
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        mounted, separator, rest = line.partition(" - ")
        point = Path(mounted.split()[4].replace("\\040", " "))
        # A later mount hides an earlier one at the same point.
        if separator and folder.is_relative_to(point) and len(point.parts) >= longest:
            found, longest = rest.split()[0], len(point.parts)
    return found


def _database(settings: Settings) -> Iterator[Finding]:
    path = settings.database
    try:
        check_not_gone(path)
    except ConfigError as error:
        yield Finding(check="database", status="error", fact=error.message)
        return
    if not path.is_file() or not path.stat().st_size:
        yield Finding(check="database", status="ok", fact=f"{path} will be made")
        return
    if is_held(path):
        fact = f"another process holds {path}, perhaps a running laserve"
        yield Finding(check="database", status="error", fact=fact, remedy="stop it, or set another data_dir")
        return
    try:
        start, newest = _ends(path)
    except (OSError, sqlite3.Error, ValueError, LookupError, TypeError) as error:
        remedy = "see `laserve state verify`; restore a backup if it fails"
        yield Finding(
            check="database", status="warning", fact=f"{path} cannot be read: {error}", remedy=remedy
        )
        return
    yield Finding(check="database", status="ok", fact=f"{path} holds {'a' if start else 'no'} log")
    if start:
        yield _agreement(settings, start)
    if newest is not None and newest > time.time() + _CLOCK_S:
        fact = f"the clock is {newest - time.time():,.0f} s behind the newest event of the log"
        remedy = "set the clock: feedback windows and retention follow it"
        yield Finding(check="clock", status="warning", fact=fact, remedy=remedy)


def _ends(path: Path) -> tuple[dict[str, Any] | None, float | None]:
    """Body of a log's first event, and Unix seconds of its last one; None where there is no event."""
    with _copied(path) as source, closing(sqlite3.connect(source, uri=True)) as database:
        first = database.execute(
            "SELECT payload FROM events WHERE position = 1 AND kind = 'start'"
        ).fetchone()
        (newest,) = database.execute("SELECT max(created_at) FROM events").fetchone()
    return (None if first is None else json.loads(first[0])["body"]), newest


@contextmanager
def _copied(path: Path) -> Iterator[str]:
    """URI by which SQLite reads a database that nobody holds, and writes nothing beside it.

    A killed process leaves a write-ahead log, which SQLite would merge into the file; so a copy is read. Of a
    large database, only what the file itself has is read.
    """
    log = Path(f"{path}-wal")
    if not log.is_file() or not log.stat().st_size or path.stat().st_size > _COPIED_BYTES:
        yield f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        return
    with tempfile.TemporaryDirectory(prefix="laserve-") as folder:
        for file in (path, log):
            shutil.copyfile(file, Path(folder) / file.name)
        yield (Path(folder) / path.name).as_uri()


def _agreement(settings: Settings, start: dict[str, Any]) -> Finding:
    """Whether the log was started with these settings; those of models are compared at a start."""
    policy, logged = settings.policy, start.get("settings") or {}
    now: dict[str, Any] = {f"policy.{name}": getattr(policy, name) for name in _FIXED}
    now["context.tasks"] = list(settings.context.tasks)
    wrong = [
        f"{name} is {value!r}, and the log was started with {logged[name]!r}"
        for name, value in now.items()
        if name in logged and logged[name] != value
    ]
    fixed = start.get("learn_from")
    if fixed is not None and policy.learn_from not in (None, fixed):
        wrong.append(f"policy.learn_from is {policy.learn_from!r}, and this log learns from {fixed!r}")
    if wrong:
        remedy = "set them back, or start another log in another data_dir"
        return Finding(check="log", status="error", fact="; ".join(wrong), remedy=remedy)
    return Finding(check="log", status="ok", fact="the log was started with these settings")
