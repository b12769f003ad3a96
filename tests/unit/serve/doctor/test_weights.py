"""Sizes of models without reading them."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

import tiny
from laserve.config import load
from laserve.models.packaged import PACKAGED, prepare
from laserve.serve.doctor.needs import _PACKAGED
from laserve.serve.doctor.weights import disk_bytes, read_weights


def test_the_weights_of_a_model_are_counted_by_its_headers_and_by_its_configuration_alike(
    tmp_path: Path,
) -> None:
    folder = tiny.decoder(tmp_path / "model")
    by_headers = read_weights(folder)
    assert by_headers is not None
    assert by_headers.source == "headers of the safetensors"
    assert by_headers.bytes(2) == sum(
        2 * int(np.prod(shape)) for shape in by_headers.shapes.values()
    )  # saved in bfloat16
    assert by_headers.bytes(2) < (folder / "model.safetensors").stat().st_size < by_headers.bytes(2) + 100_000
    (folder / "model.safetensors").unlink()
    by_config = read_weights(folder)
    assert by_config is not None
    assert by_config.source == "config.json"
    assert by_config.floats == by_headers.floats
    assert by_headers.decodes and by_config.decodes
    # Two layers with two key-value heads of 16 numbers: keys and values, two bytes each.
    assert by_headers.kv_token_bytes() == 2 * 2 * 2 * 2 * 16
    assert by_headers.longest == 2048


@pytest.mark.parametrize("name", PACKAGED)
def test_a_packaged_models_size_is_known_before_it_is_prepared(name: str) -> None:
    folder = prepare(name, load().cache_dir.expanduser())
    weights, (floats, width) = read_weights(folder), _PACKAGED[name]
    assert weights is not None
    assert weights.floats == floats
    assert 0.95 < floats * width / disk_bytes(folder) < 1


@given(
    st.lists(
        st.tuples(st.sampled_from(["float32", "float16", "int8", "int32"]), st.integers(0, 9)), max_size=5
    )
)
def test_weights_that_are_no_floats_keep_their_size(tensors: list[tuple[str, int]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arrays = {f"w{index}": np.zeros((3, count), dtype) for index, (dtype, count) in enumerate(tensors)}
        save_file(arrays, folder / "model.safetensors")
        weights = read_weights(folder)
        floats = sum(array.size for array in arrays.values() if array.dtype.kind == "f")
        others = sum(array.nbytes for array in arrays.values() if array.dtype.kind == "i")
        if not floats and not others:
            assert weights is None
        else:
            assert weights is not None
            assert (weights.floats, weights.other_bytes) == (floats, others)
            assert weights.bytes(4) == 4 * floats + others


def test_only_the_files_of_the_index_count(tmp_path: Path) -> None:
    for name in ("one", "two", "copy"):
        save_file({name: np.zeros((2, 5), np.float16)}, tmp_path / f"{name}.safetensors")
    index = {"weight_map": {"one": "one.safetensors", "two": "two.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    weights = read_weights(tmp_path)
    assert weights is not None
    assert weights.floats == 20


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"hidden_size": 8},
        {
            "num_experts": 8,
            **dict.fromkeys(
                (
                    "hidden_size",
                    "num_hidden_layers",
                    "num_attention_heads",
                    "vocab_size",
                    "intermediate_size",
                ),
                8,
            ),
        },
    ],
)
def test_a_size_that_cannot_be_known_is_none(config: dict[str, int], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_weights(tmp_path) is None
    assert read_weights(tmp_path / "nothing") is None
