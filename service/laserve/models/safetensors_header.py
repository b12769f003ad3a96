"""Shapes of the tensors in a safetensors file, from its header alone."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from laserve.errors import ConfigError

#: Length of the field with the header's length, and longest header that the format allows, in bytes.
_PREFIX, _LONGEST = 8, 100_000_000

Shapes = Mapping[str, tuple[int, ...]]


def read_shapes(file: Path, setting: str) -> Shapes:
    """Name of each tensor -> its shape.

    Args:
        file: a safetensors file.
        setting: the setting that errors name.

    Raises:
        ConfigError: the file cannot be read, is not of this format, or ends before its tensors do.
    """
    broken = f"{file} is damaged or incomplete; copy or save it again"
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(_PREFIX), "little")
            if not 0 < length <= min(_LONGEST, size - _PREFIX):
                raise ConfigError.at(setting, broken)
            header: dict[str, Any] = json.loads(stream.read(length))
        header.pop("__metadata__", None)
        shapes = {name: tuple(map(int, tensor["shape"])) for name, tensor in header.items()}
        end = max((int(tensor["data_offsets"][1]) for tensor in header.values()), default=0)
    except OSError as error:
        raise ConfigError.at(setting, f"{file} cannot be read: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ConfigError.at(setting, broken) from error
    if size != _PREFIX + length + end:
        raise ConfigError.at(setting, f"{broken} (it has {size} bytes, not {_PREFIX + length + end})")
    return shapes
