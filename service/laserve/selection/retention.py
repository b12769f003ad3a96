"""The archive of decisions, with their texts in full, as keyed hashes, or left out."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from laserve.errors import ConfigError
from laserve.storage.base import Store
from laserve.storage.batching import GroupCommit
from laserve.types import Decision


class Retention:
    """The retention setting, applied to a decision before it is stored.

    Look here for which fields of a decision hold texts.

    Args:
        mode: ``full`` keeps texts, ``hash`` keeps the HMAC-SHA256 of each (equal texts have equal hashes),
            ``none`` keeps no text.
        key: key of the hashes.
    """

    def __init__(self, *, mode: Literal["full", "hash", "none"], key: bytes) -> None:
        self.mode = mode
        self._key = key

    def redact(self, decision: Decision) -> Decision:
        """The decision as the mode allows it to be stored."""
        if self.mode == "full":
            return decision
        keep = self._hash if self.mode == "hash" else _drop
        return replace(
            decision,
            retention=self.mode,
            candidates=tuple(
                replace(candidate, text=keep(candidate.text)) for candidate in decision.candidates
            ),
            request=None if self.mode == "none" else _each_text(decision.request, keep),
            metadata={} if self.mode == "none" else _each_text(decision.metadata, keep),
            sampling=replace(decision.sampling, stop=tuple(keep(stop) for stop in decision.sampling.stop)),
        )

    def _hash(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()


def _drop(text: str) -> str:
    return ""


def _each_text(value: Any, change: Any) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _each_text(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_each_text(item, change) for item in value]
    return value


class Archive:
    """The writer of decisions: each is redacted, and those that arrive together share one commit."""

    def __init__(self, *, store: Store, retention: Retention) -> None:
        self._store = store
        self._retention = retention
        self._batches: GroupCommit[Decision, None] = GroupCommit(self._commit)

    def start(self) -> None:
        self._batches.start()

    async def close(self) -> None:
        """Commit the decisions that wait, then stop."""
        await self._batches.close()

    async def add(self, decision: Decision) -> None:
        """Store a decision; it is durable when this returns. Raises StoreError when the store refuses."""
        await self._batches.submit(self._retention.redact(decision))

    async def _commit(self, batch: Sequence[Decision]) -> Sequence[None]:
        await self._store.add_decisions(batch)
        return [None] * len(batch)


def hash_key(folder: Path) -> bytes:
    """The random key of a folder, created on first use and readable only by its owner.

    Raises:
        ConfigError: the folder cannot be written.
    """
    path = folder / "hash.key"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            half = folder / f".hash.key-{secrets.token_hex(4)}"  # an interruption leaves no half key
            half.touch(mode=0o600)
            half.write_bytes(secrets.token_bytes(32))
            half.replace(path)
        key = path.read_bytes()
    except OSError as error:
        raise ConfigError.at("storage.hash_key", f"cannot keep a key at {path}: {error}") from error
    if not key:
        raise ConfigError.at("storage.hash_key", f"the key file {path} is empty; remove it or set a key")
    return key
