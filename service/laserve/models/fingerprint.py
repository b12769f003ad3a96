"""Fingerprints of values and of models: 16 hex digits of what a thing is, and not of where it lies."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from laserve.models.packaged import PACKAGED

#: Of vLLM's ``AsyncEngineArgs`` those that change what a model computes; the others say how fast.
_COMPUTING = frozenset(
    {
        "dtype",
        "hf_config_path",
        "hf_overrides",
        "kv_cache_dtype",
        "load_format",
        "logits_processors",
        "pooler_config",
        "quantization",
        "revision",
        "rope_scaling",
        "rope_theta",
        "tokenizer",
        "tokenizer_mode",
        "tokenizer_revision",
    }
)
#: What a loader reads of a folder.
_READ = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model", "*.gguf")
#: Files up to this size are read whole: all but the weights of large models, of which parts are.
_WHOLE = 64 * 2**20
#: Parts of a larger file: its first, with the names and shapes of the tensors, then some of every region.
_HEAD, _PARTS, _PART = 2**20, 64, 4096


def fingerprint(value: Any) -> str:
    """SHA-256 of the canonical JSON, 16 hex digits."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def model_content(reference: str) -> str | None:
    """What a model is, by its files where it has a folder, else by its name.

    Training moves nearly every weight, so that parts of a large file tell it from another one of its shape.

    Args:
        reference: a packaged name, a folder, or a name that a loader knows.

    Returns:
        None for a folder that is not there or cannot be read.
    """
    if reference in PACKAGED:
        return PACKAGED[reference].distribution
    try:
        folder = Path(reference).expanduser()
        if folder.is_dir():
            return _files(folder)
    except (OSError, RuntimeError, ValueError):  # the second for the home of a user that does not exist
        return None
    return None if folder.is_absolute() or reference.startswith(("~", ".")) else reference


def computing(engine_args: Mapping[str, Any]) -> dict[str, Any]:
    """Those of vLLM's arguments that change what its model computes."""
    return {name: value for name, value in engine_args.items() if name in _COMPUTING}


def place(url: str) -> str:
    """Where a server is, without what opens its door; empty for what is no URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    host = parts.netloc.rpartition("@")[2].lower()
    return f"{parts.scheme.lower()}://{host}{parts.path.rstrip('/').removesuffix('/v1')}"


def _files(folder: Path) -> str:
    hasher = hashlib.sha256()
    for file in sorted({file for pattern in _READ for file in folder.glob(pattern) if file.is_file()}):
        size = file.stat().st_size
        hasher.update(f"{file.name}:{size}:".encode())
        with file.open("rb") as opened:
            for start, length in _parts(size):
                opened.seek(start)
                hasher.update(opened.read(length))
    return hasher.hexdigest()[:16]


def _parts(size: int) -> Iterator[tuple[int, int]]:
    """Where to read and how much."""
    if size <= _WHOLE:
        yield 0, size
        return
    yield 0, _HEAD
    for place in range(_PARTS):
        yield _HEAD + place * (size - _HEAD - _PART) // (_PARTS - 1), _PART
