"""Errors on folders without a fitting model or adapter."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from laserve.errors import ConfigError
from laserve.models.folders import adapter_folder, check_adapter, check_chat_template, check_model

HIDDEN, RANK = 8, 4
Q = "model.layers.0.self_attn.q_proj"


def write(file: Path, changes: dict[str, Any] | None = None, **values: Any) -> None:
    old = json.loads(file.read_text()) if file.is_file() else {}
    file.write_text(json.dumps(old | values | (changes or {})))


def tensors(**shapes: tuple[int, ...]) -> dict[str, Any]:
    return {name: np.zeros(shape, dtype=np.float32) for name, shape in shapes.items()}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A language model without a head."""
    folder = tmp_path / "base"
    folder.mkdir()
    write(folder / "config.json", hidden_size=HIDDEN, architectures=["LlamaForCausalLM"])
    weights = {f"{Q}.weight": (HIDDEN, HIDDEN), "model.embed_tokens.weight": (16, HIDDEN)}
    save_file(tensors(**weights), folder / "model.safetensors")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    return folder


@pytest.fixture
def classifier(base: Path) -> Path:
    folder = base.with_name("classifier")
    shutil.copytree(base, folder)
    write(folder / "config.json", id2label={"0": "LABEL_0"})
    weights = {f"{Q}.weight": (HIDDEN, HIDDEN), "score.weight": (1, HIDDEN)}
    save_file(tensors(**weights), folder / "model.safetensors")
    return folder


def save_adapter(
    folder: Path, *, rank: int = RANK, module: str = Q, inputs: int = HIDDEN, head: Any = (1, HIDDEN)
) -> None:
    prefix = f"base_model.model.{module}"
    weights = {f"{prefix}.lora_A.weight": (rank, inputs), f"{prefix}.lora_B.weight": (HIDDEN, rank)}
    if head is not None:
        weights["base_model.model.score.weight"] = head
    save_file(tensors(**weights), folder / "adapter_model.safetensors")


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "adapter"
    folder.mkdir()
    write(folder / "adapter_config.json", peft_type="LORA", r=RANK)
    save_adapter(folder)
    return folder


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-5])


def pickled(folder: Path, name: str) -> None:
    (folder / name).rename(folder / "pytorch_model.bin")


def test_a_language_model_and_a_classifier_are_found_to_be_well(base: Path, classifier: Path) -> None:
    assert check_model(base, num_labels=None).shapes["model.embed_tokens.weight"] == (16, HIDDEN)
    assert check_model(classifier, num_labels=1).config["hidden_size"] == HIDDEN
    check_chat_template(base)


def test_weights_in_several_files_are_read_by_their_index(classifier: Path) -> None:
    (classifier / "model.safetensors").rename(classifier / "model-00001-of-00002.safetensors")
    save_file(tensors(**{"model.norm.weight": (HIDDEN,)}), classifier / "model-00002-of-00002.safetensors")
    files = {
        "score.weight": "model-00001-of-00002.safetensors",
        "model.norm.weight": "model-00002-of-00002.safetensors",
    }
    write(classifier / "model.safetensors.index.json", weight_map=files)
    assert {"score.weight", "model.norm.weight"} <= set(check_model(classifier, num_labels=1).shapes)
    (classifier / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"has no model-00002-of-00002\.safetensors"):
        check_model(classifier, num_labels=1)


BROKEN_MODELS: dict[str, tuple[Callable[[Path], Any], tuple[str, ...]]] = {
    "no folder": (shutil.rmtree, ("there is no folder", "classifier")),
    "no config": (lambda f: (f / "config.json").unlink(), ("no config.json", "save_pretrained")),
    "config is no JSON": (lambda f: (f / "config.json").write_text("{"), ("config.json", "cannot be read")),
    "config is a list": (lambda f: (f / "config.json").write_text("[]"), ("config.json", "no JSON object")),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), ("no model.safetensors",)),
    "weights end early": (
        lambda f: truncate(f / "model.safetensors"),
        ("model.safetensors", "damaged or incomplete"),
    ),
    "weights are empty": (
        lambda f: (f / "model.safetensors").write_bytes(b""),
        ("model.safetensors", "is empty"),
    ),
    "weights are text": (
        lambda f: (f / "model.safetensors").write_text("version https://git-lfs"),
        ("model.safetensors", "Git LFS"),
    ),
    "only a pickle": (
        lambda f: pickled(f, "model.safetensors"),
        ("pytorch_model.bin", "pickled", "safetensors"),
    ),
    "code of its own": (
        lambda f: write(f / "config.json", auto_map={"AutoModel": "model.Model"}),
        ("config.json", "auto_map", "trust_remote_code: true"),
    ),
    "labels of the config": (
        lambda f: write(f / "config.json", id2label={"0": "a", "1": "b"}),
        ("config.json", "num_labels 2", "this kind needs 1"),
    ),
    "labels of the head": (
        lambda f: save_file(tensors(**{"score.weight": (3, HIDDEN)}), f / "model.safetensors"),
        ("3 outputs in score.weight", "this kind needs 1"),
    ),
    "no head": (
        lambda f: save_file(tensors(**{f"{Q}.weight": (HIDDEN, HIDDEN)}), f / "model.safetensors"),
        ("holds no head", "adapter"),
    ),
}


@pytest.mark.parametrize(("break_it", "said"), BROKEN_MODELS.values(), ids=BROKEN_MODELS.keys())
def test_what_is_wrong_with_a_model_is_said_with_its_file_and_the_remedy(
    classifier: Path, break_it: Callable[[Path], Any], said: tuple[str, ...]
) -> None:
    break_it(classifier)
    with pytest.raises(ConfigError) as caught:
        check_model(classifier, num_labels=1, setting="options.model")
    assert caught.value.message.startswith("options.model: ")
    assert all(part in caught.value.message for part in said)


def test_code_of_its_own_is_run_when_the_settings_say_so(classifier: Path) -> None:
    write(classifier / "config.json", auto_map={"AutoModel": "model.Model"})
    assert check_model(classifier, num_labels=1, trust_remote_code=True)


def test_a_config_without_labels_means_two(classifier: Path) -> None:
    file = classifier / "config.json"
    config = json.loads(file.read_text())
    del config["id2label"]
    file.write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="num_labels 2"):
        check_model(classifier, num_labels=1)
    write(file, num_labels=1)
    assert check_model(classifier, num_labels=1)


def test_a_tokenizer_without_a_chat_template_is_named(base: Path) -> None:
    (base / "chat_template.jinja").unlink()
    with pytest.raises(ConfigError, match="no chat template; save the one"):
        check_chat_template(base)
    write(base / "tokenizer_config.json", chat_template="{{ messages }}")
    check_chat_template(base)


def test_an_adapter_is_found_to_be_well(base: Path, adapter: Path) -> None:
    checked = check_adapter(adapter, check_model(base, num_labels=None), num_labels=1, max_rank=RANK)
    assert checked.rank == RANK
    assert checked.head == "base_model.model.score.weight"


def test_an_adapter_for_a_language_model_needs_no_head(base: Path, adapter: Path) -> None:
    save_adapter(adapter, head=None)
    assert check_adapter(adapter, check_model(base, num_labels=None), num_labels=None).head is None


BROKEN_ADAPTERS: dict[str, tuple[Callable[[Path], Any], tuple[str, ...]]] = {
    "no folder": (shutil.rmtree, ("there is no folder",)),
    "no config": (
        lambda f: (f / "adapter_config.json").unlink(),
        ("no adapter_config.json", "save_pretrained"),
    ),
    "no LoRA": (lambda f: write(f / "adapter_config.json", peft_type="IA3"), ("peft_type 'IA3'", "LORA")),
    "no weights": (lambda f: (f / "adapter_model.safetensors").unlink(), ("no adapter_model.safetensors",)),
    "weights end early": (
        lambda f: truncate(f / "adapter_model.safetensors"),
        ("adapter_model.safetensors", "damaged"),
    ),
    "only a pickle": (
        lambda f: pickled(f, "adapter_model.safetensors"),
        ("pickled", "adapter_model.safetensors"),
    ),
    "rank": (lambda f: write(f / "adapter_config.json", r=RANK + 1), ("rank 5", "max_lora_rank to 5")),
    "rank of one module": (
        lambda f: write(f / "adapter_config.json", rank_pattern={"q_proj": 64}),
        ("rank 64", "max_lora_rank to 64"),
    ),
    "no head": (lambda f: save_adapter(f, head=None), ("holds no head", "SEQ_CLS")),
    "labels": (lambda f: save_adapter(f, head=(2, HIDDEN)), ("2 outputs in base_model.model.score.weight",)),
    "another base, by width": (
        lambda f: save_adapter(f, inputs=16),
        ("not an adapter of", "name the model that it was trained on", "size 8, not 16"),
    ),
    "another base, by modules": (
        lambda f: save_adapter(f, module="model.layers.7.self_attn.q_proj"),
        ("not an adapter of", "layers.7", "no such module"),
    ),
    "another base, by its head": (
        lambda f: save_adapter(f, head=(1, 16)),
        ("not an adapter of", "score.weight"),
    ),
}


@pytest.mark.parametrize(("break_it", "said"), BROKEN_ADAPTERS.values(), ids=BROKEN_ADAPTERS.keys())
def test_what_is_wrong_with_an_adapter_is_said_with_its_file_and_the_remedy(
    base: Path, adapter: Path, break_it: Callable[[Path], Any], said: tuple[str, ...]
) -> None:
    break_it(adapter)
    model = check_model(base, num_labels=None)
    with pytest.raises(ConfigError) as caught:
        check_adapter(adapter, model, num_labels=1, max_rank=RANK, setting="options.adapter")
    assert caught.value.message.startswith("options.adapter: ")
    assert str(adapter) in caught.value.message
    assert all(part in caught.value.message for part in said)


def test_a_name_that_no_adapter_has_is_a_path() -> None:
    assert adapter_folder("/models/mine") == Path("/models/mine")
    assert adapter_folder("nobody") == Path("nobody")
    assert adapter_folder("..") == Path("..")
    assert adapter_folder("") == Path()
    assert adapter_folder("~nobody-of-this-name/mine") == Path("~nobody-of-this-name/mine")


def test_weights_that_are_kept_transposed_are_compared_so(base: Path, adapter: Path) -> None:
    save_file(tensors(**{f"{Q}.weight": (HIDDEN, 3 * HIDDEN)}), base / "model.safetensors")
    prefix = f"base_model.model.{Q}"
    weights = {f"{prefix}.lora_A.weight": (RANK, HIDDEN), f"{prefix}.lora_B.weight": (3 * HIDDEN, RANK)}
    save_file(
        tensors(**weights, **{"base_model.model.score.weight": (1, HIDDEN)}),
        adapter / "adapter_model.safetensors",
    )
    with pytest.raises(ConfigError, match="not an adapter of"):
        check_adapter(adapter, check_model(base, num_labels=None), num_labels=1)
    write(adapter / "adapter_config.json", fan_in_fan_out=True)
    assert check_adapter(adapter, check_model(base, num_labels=None), num_labels=1).rank == RANK
