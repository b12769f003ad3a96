"""Fingerprints of models and settings: 16 hex digits of the content, independent of its path."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from laserve.models.packaged import PACKAGED

#: Fields of vLLM's ``AsyncEngineArgs`` that change a model's results; the others change its speed.
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
#: Patterns of the files that a loader reads from a folder.
_READ = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model", "*.gguf")
#: Largest size of a file that is read whole, in bytes; of larger weights, only parts are read.
_WHOLE = 64 * 2**20
#: Parts of a larger file: length of the first, which has the names and shapes of the tensors, then number
#: and length of the others, spread over the rest.
_HEAD, _PARTS, _PART = 2**20, 64, 4096


def fingerprint(value: Any) -> str:
    """SHA-256 of the canonical JSON, 16 hex digits."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def model_content(reference: str) -> str | None:
    """Identity of a model's content: from its files where it has a folder, else its name.

    Training moves nearly every weight, so parts of a large file distinguish it from other files of its shape.

    Args:
        reference: a packaged name, a folder, or a name that a loader knows.

    Returns:
        None for a folder that is missing or cannot be read.
    """
    if reference in PACKAGED:
        return PACKAGED[reference].distribution
    try:
        folder = Path(reference).expanduser()
        if folder.is_dir():
            return _files(folder)
    except (OSError, RuntimeError, ValueError):  # RuntimeError: the home of an unknown user
        return None
    return None if folder.is_absolute() or reference.startswith(("~", ".")) else reference


def computing(engine_args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of vLLM that change its model's results."""
    return {name: value for name, value in engine_args.items() if name in _COMPUTING}


def server_address(url: str) -> str:
    """A server's URL without credentials, query and ``/v1``; empty for a text that is no URL."""
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
        with file.open("rb") as stream:
            for start, length in _parts(size):
                stream.seek(start)
                hasher.update(stream.read(length))
    return hasher.hexdigest()[:16]


def _parts(size: int) -> Iterator[tuple[int, int]]:
    """Start and length of each part to read."""
    if size <= _WHOLE:
        yield 0, size
        return
    yield 0, _HEAD
    for part in range(_PARTS):
        yield _HEAD + part * (size - _HEAD - _PART) // (_PARTS - 1), _PART
