"""The id of a log in a file beside its database, by which a start recognises a wrong database."""

import os
from pathlib import Path

from laserve.errors import ConfigError, StoreError


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.log-id")


def rescued(path: Path) -> Path:
    """Path of the copy of a database that was removed or replaced while it was open."""
    return path.with_name(f"{path.name}.rescued")


def check_not_gone(path: Path) -> None:
    """Raise ConfigError when the path had a log before, and now has no database, or an empty file."""
    left = [file for file in (_beside(path), rescued(path)) if file.exists()]
    if not left or (path.is_file() and path.stat().st_size):
        return
    names = " and ".join(str(file) for file in left)
    copy = f" ({rescued(path)} is a copy)" if rescued(path) in left else ""
    raise ConfigError.at(
        "data_dir",
        f"the database {path} is gone, but it held a log; bring it back{copy}, "
        f"or remove {names} to begin a new log",
    )


class LogId:
    """The id of the log in a database: the checksum of the log's first event, which no other log has.

    Args:
        path: the database's file.
        read_only: compare the ids, and write no file.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self._path = path
        self._beside = _beside(path)
        self._read_only = read_only
        #: Whether the id's file exists.
        self.kept = self._beside.exists()

    def agree(self, log_id: str | None) -> None:
        """Compare the kept id with the database's, or keep the database's where there is none.

        Args:
            log_id: checksum of its first event, None when it has no event.

        Raises:
            ConfigError: it holds another log than the one that was here, or none.
        """
        if not self.kept:
            if log_id is not None and not self._read_only:
                self.keep(log_id)
            return
        was = self._beside.read_text(errors="replace").strip()
        if was != log_id:
            holds = "no log" if log_id is None else "another log than before"
            raise ConfigError.at(
                "data_dir",
                f"{self._path} holds {holds}, but {self._beside.name} says which one was here; "
                f"bring that back, or remove {self._beside} to go on with this database",
            )

    def keep(self, log_id: str) -> None:
        """Write the id durably. Raises StoreError when that fails."""
        fresh = self._beside.with_name(f"{self._beside.name}.new")
        try:
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(f"{log_id}\n")
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._beside)
        except OSError as error:
            raise StoreError(f"the database refused: {self._beside} cannot be written: {error}") from error
        self.kept = True
