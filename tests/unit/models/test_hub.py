"""Names of a hub's models, and their folders in the cache; the download is in acceptance/test_models.py."""

import json
from pathlib import Path

import pytest
from huggingface_hub import constants

from laserve.errors import ConfigError
from laserve.models.hub import cached, is_hub_name, locate, model_name
from laserve.models.packaged import resolve

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Hugging Face's cache, empty."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def kept(cache: Path, *files: str, revision: str = "main") -> Path:
    """A snapshot of org/model, as the hub's client keeps it."""
    model = cache / "models--org--model"
    folder = model / "snapshots" / COMMIT
    for path in (folder, model / "refs"):
        path.mkdir(parents=True)
    (model / "refs" / revision).write_text(COMMIT)
    for file in files:
        (folder / file).write_text("{}")
    return folder


@pytest.mark.parametrize(
    ("reference", "named"),
    [
        ("Qwen/Qwen3-8B", True),
        ("gpt2", True),
        ("org/model.v1_2", True),
        ("/srv/models/judge", False),
        ("./judge", False),
        ("~/judge", False),
        ("models/7b/judge", False),
        ("org/model:Q4_K_M", False),
        ("s3://bucket/model", False),
        ("", False),
    ],
)
def test_a_hubs_name_is_one_word_or_two(reference: str, named: bool) -> None:
    assert is_hub_name(reference) is named


def test_a_folder_of_that_name_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org" / "model").mkdir(parents=True)
    assert not is_hub_name("org/model")
    assert resolve("org/model", tmp_path) == "org/model"


def test_a_cached_model_becomes_its_folder(cache: Path, tmp_path: Path) -> None:
    folder = kept(cache, "config.json", "model.safetensors")
    assert cached("org/model") == locate("org/model") == folder
    assert resolve("org/model", tmp_path) == str(folder)


def test_a_revision_is_looked_up_by_its_name(cache: Path) -> None:
    folder = kept(cache, "config.json", "model.safetensors", revision="v2")
    assert locate("org/model", "v2") == locate("org/model", COMMIT) == folder
    with pytest.raises(
        ConfigError, match=r"^options\.model: there is no folder org/model, .* at revision v3 in"
    ):
        locate("org/model", "v3", setting="options.model")


@pytest.mark.parametrize(
    ("files", "complete"),
    [
        ((), False),
        (("consolidated.safetensors",), False),
        (("model.safetensors",), True),
        (("model.safetensors.index.json",), False),
        (("model.safetensors.index.json", "a.safetensors"), False),
        (("model.safetensors.index.json", "a.safetensors", "b.safetensors"), True),
    ],
)
def test_a_model_counts_as_cached_when_all_shards_of_its_index_are_there(
    cache: Path, files: tuple[str, ...], complete: bool
) -> None:
    folder = kept(cache, "config.json", *files)
    if (index := folder / "model.safetensors.index.json").exists():
        index.write_text(json.dumps({"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}))
    assert cached("org/model") == (folder if complete else None)


@pytest.mark.parametrize("index", ["{", "{}", "[]", '{"weight_map": null}'])
def test_a_model_whose_index_cannot_be_read_is_not_complete(cache: Path, index: str) -> None:
    folder = kept(cache, "config.json", "model.safetensors", "model.safetensors.index.json")
    (folder / "model.safetensors.index.json").write_text(index)
    assert cached("org/model") is None


def test_a_tokenizer_alone_needs_no_configuration_of_a_model(cache: Path) -> None:
    folder = kept(cache, "tokenizer.json")
    assert cached("org/model") is None
    assert cached("org/model", weights=False) == folder


@pytest.mark.parametrize("name", ["org/other", "org--model", "a..b"])
def test_a_model_that_is_not_cached_is_told_with_the_command_that_fetches_it(cache: Path, name: str) -> None:
    with pytest.raises(ConfigError) as told:
        locate(name, setting="generation.model")
    assert told.value.message == (
        f"generation.model: there is no folder {name}, and no model of this name in the cache {cache}; "
        "fetch it with: laserve models --config FILE --download"
    )


def test_a_model_in_the_cache_is_shown_by_its_name() -> None:
    assert model_name(f"/cache/models--org--tiny-judge/snapshots/{COMMIT}") == "tiny-judge"
    assert model_name(f"/cache/models--gpt2/snapshots/{COMMIT}") == "gpt2"
    assert model_name("/srv/models/judge") == "judge"
