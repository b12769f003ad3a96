"""Shapes of the tensors in a safetensors file."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from laserve.errors import ConfigError
from laserve.models.shapes import read_shapes

WHOLE = save({"a": np.zeros((3, 4), np.float32), "b": np.zeros((), np.int64)}, {"format": "pt"})
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 538090408\n"


def test_shapes_are_by_name_without_the_metadata(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(WHOLE)
    assert read_shapes(tmp_path / "w.safetensors", "model") == {"a": (3, 4), "b": ()}


def test_types_that_numpy_lacks_have_shapes_too(tmp_path: Path) -> None:
    tensors = {
        "a": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8]},
        "b": {"dtype": "F8_E4M3", "shape": [3], "data_offsets": [8, 11]},
    }
    header = json.dumps(tensors).encode()
    (tmp_path / "w.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(11))
    assert read_shapes(tmp_path / "w.safetensors", "model") == {"a": (2, 2), "b": (3,)}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty; copy or save it again"),
        (WHOLE[:5], "is damaged or incomplete; copy or save it again"),
        (WHOLE[:20], "is damaged or incomplete; copy or save it again"),
        (WHOLE[:-1], "is damaged or incomplete; copy or save it again"),
        (WHOLE + b"x", "is damaged or incomplete; copy or save it again"),
        (WHOLE.replace(b"F32", b"Q32"), "is damaged or incomplete; copy or save it again"),
        (POINTER, "is a pointer of Git LFS, not the weights; fetch them with git lfs pull"),
        (b"PK\x03\x04" * 9, "is not in the safetensors format; save the model again as safetensors"),
        (b"<!DOCTYPE html>", "is not in the safetensors format; save the model again as safetensors"),
        (bytes(100), "is not in the safetensors format; save the model again as safetensors"),
    ],
)
def test_another_file_is_named_in_a_sentence(data: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    file.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        read_shapes(file, "options.model")
    assert caught.value.message == f"options.model: {file} {said}"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"options.model: .*w.safetensors cannot be read: No such file"):
        read_shapes(tmp_path / "w.safetensors", "options.model")
