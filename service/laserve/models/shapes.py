"""Shapes of the tensors in a safetensors file."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open

from laserve.errors import ConfigError

Shapes = Mapping[str, tuple[int, ...]]

#: Beginning of the text that Git LFS leaves in place of a large file.
_POINTER = b"version https://git-lfs"


def read_shapes(file: Path, setting: str) -> Shapes:
    """Name of each tensor -> its shape; no tensor is read.

    Args:
        file: a safetensors file.
        setting: the setting that errors name.

    Raises:
        ConfigError: the file cannot be read, is not of this format, or ends before its tensors do.
    """
    try:
        with safe_open(file, framework="numpy") as tensors:
            return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    except OSError as error:
        raise ConfigError.at(setting, f"{file} cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise ConfigError.at(setting, f"{file} {_fault(file)}") from error


def _fault(file: Path) -> str:
    """What a file is that safetensors refuses, by its first bytes, and the remedy."""
    with file.open("rb") as stream:
        head = stream.read(len(_POINTER))
    if not head:
        return "is empty; copy or save it again"
    if head == _POINTER:
        return "is a pointer of Git LFS, not the weights; fetch them with git lfs pull"
    if head[8:9] not in (b"{", b""):  # a header in JSON follows its length in 8 bytes
        return "is not in the safetensors format; save the model again as safetensors"
    return "is damaged or incomplete; copy or save it again"
