"""Checks of folders that should hold a model or a LoRA adapter, before anything is loaded.

Only safetensors are read, since a pickle can run any code. Code that comes with a model is run only where the
settings allow it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laserve.errors import ConfigError
from laserve.models.shapes import Shapes, read_shapes

#: Folder of the adapters that come with laserve, each in a subfolder of its name.
_ADAPTERS = Path(__file__).with_name("adapters")
_WEIGHTS, _INDEX, _ADAPTER_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "adapter_model.safetensors",
)
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
#: Names of heads in the models of transformers; the last weight of each has one row a label.
_HEADS = ("score", "classifier.out_proj", "classifier", "v_head.summary", "v_head")
#: Number of labels in transformers where the config names none.
_DEFAULT_LABELS = 2


@dataclass(frozen=True, kw_only=True)
class ModelFolder:
    """A model on disk."""

    path: Path
    #: Content of its config.json.
    config: Mapping[str, Any]
    #: Name of each tensor -> its shape.
    shapes: Shapes


@dataclass(frozen=True, kw_only=True)
class AdapterFolder:
    """A LoRA adapter on disk."""

    path: Path
    #: Content of its adapter_config.json.
    config: Mapping[str, Any]
    #: Name of each tensor, as PEFT saves it -> its shape.
    shapes: Shapes
    #: Highest rank of its modules.
    rank: int
    #: Name of its head's tensor; None without a head.
    head: str | None


def adapter_folder(name: str) -> Path:
    """Folder of the adapter of this name that comes with laserve, else the name as a path."""
    packaged = _ADAPTERS / name
    if name not in ("", "..") and Path(name).name == name and packaged.is_dir():
        return packaged
    return _at_home(name)


def check_model(
    folder: str | Path,
    *,
    num_labels: int | None,
    trust_remote_code: bool = False,
    setting: str = "model",
) -> ModelFolder:
    """Check a model before anything loads it.

    Args:
        folder: folder with config.json and safetensors.
        num_labels: number of outputs that its head must have; None for a model that needs no head.
        trust_remote_code: whether code that comes with the model may run.
        setting: the setting that errors name.

    Raises:
        ConfigError: the folder holds no fitting model; the message names the file and the remedy.
    """
    path = _folder(folder, setting)
    config = _json(path / "config.json", setting, "save the whole model with save_pretrained")
    _check_code(path / "config.json", config, trust_remote_code, setting)
    shapes = _model_shapes(path, setting)
    if num_labels is not None:
        _check_labels(path, config, shapes, num_labels, setting)
    return ModelFolder(path=path, config=config, shapes=shapes)


def check_adapter(
    folder: str | Path,
    base: ModelFolder,
    *,
    num_labels: int | None,
    max_rank: int | None = None,
    setting: str = "adapter",
) -> AdapterFolder:
    """Check a LoRA adapter before anything loads it.

    Args:
        folder: folder in the format of PEFT.
        base: the model that the adapter changes.
        num_labels: number of outputs that its own head must have; None for an adapter that needs no head.
        max_rank: highest rank that the engine takes.
        setting: the setting that errors name.

    Raises:
        ConfigError: the folder holds no fitting adapter; the message names the file and the remedy.
    """
    path = _folder(folder, setting)
    file = path / "adapter_config.json"
    config = _json(file, setting, "save the adapter with PEFT's save_pretrained")
    if config.get("peft_type") != "LORA":
        raise ConfigError.at(setting, f"{file} has peft_type {config.get('peft_type')!r}; it must be LORA")
    weights = path / _ADAPTER_WEIGHTS
    if not weights.is_file():
        raise ConfigError.at(setting, _no_weights(path, _ADAPTER_WEIGHTS))
    shapes = read_shapes(weights, setting)
    rank = max([_whole(config.get("r")), *map(_whole, (config.get("rank_pattern") or {}).values())])
    if max_rank is not None and rank > max_rank:
        raise ConfigError.at(
            setting,
            f"{file} has rank {rank}, and the engine takes {max_rank}; "
            f"set engine_args.max_lora_rank to {rank} or more",
        )
    _check_base(weights, shapes, base, setting, transposed=config.get("fan_in_fan_out") is True)
    head = next((name for name in shapes if _head_of(_bare(name)) is not None), None)
    if num_labels is not None:
        _check_head(weights, shapes, head, base=base, num_labels=num_labels, setting=setting)
    return AdapterFolder(path=path, config=config, shapes=shapes, rank=rank, head=head)


def check_chat_template(folder: Path, setting: str = "model") -> None:
    """Raise ConfigError when the tokenizer in the folder has no chat template."""
    file = folder / "tokenizer_config.json"
    settings = _json(file, setting, "save the tokenizer beside the model") if file.is_file() else {}
    if not settings.get("chat_template") and not (folder / "chat_template.jinja").is_file():
        raise ConfigError.at(
            setting,
            f"{folder} has no chat template; save the one that the reward model was trained with "
            "as chat_template.jinja in this folder",
        )


def _folder(folder: str | Path, setting: str) -> Path:
    path = _at_home(folder)
    if not path.is_dir():
        raise ConfigError.at(setting, f"there is no folder {path}")
    return path


def _at_home(path: str | Path) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # the home of an unknown user
        return Path(path)


def _json(file: Path, setting: str, remedy: str) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError.at(setting, f"{file.parent} has no {file.name}; {remedy}") from error
    except (OSError, ValueError) as error:
        raise ConfigError.at(setting, f"{file} cannot be read: {error}; {remedy}") from error
    if not isinstance(value, dict):
        raise ConfigError.at(setting, f"{file} holds no JSON object; {remedy}")
    return value


def _check_code(file: Path, config: Mapping[str, Any], trusted: bool, setting: str) -> None:
    if config.get("auto_map") and not trusted:
        raise ConfigError.at(
            setting,
            f"{file} loads code that comes with the model (auto_map); read that code; kinds "
            "with that option run it with trust_remote_code: true",
        )


def _model_shapes(path: Path, setting: str) -> Shapes:
    index = path / _INDEX
    if index.is_file():
        listed = _json(index, setting, "copy it again").get("weight_map")
        if not isinstance(listed, dict) or not listed:
            raise ConfigError.at(setting, f"{index} lists no weights; copy it again")
        files = [path / name for name in sorted(set(map(str, listed.values())))]
    else:
        files = [path / _WEIGHTS]
    shapes: dict[str, tuple[int, ...]] = {}
    for file in files:
        if not file.is_file():
            raise ConfigError.at(setting, _no_weights(path, file.name))
        shapes |= read_shapes(file, setting)
    return shapes


def _no_weights(path: Path, missing: str) -> str:
    pickles = sorted(file.name for pattern in _PICKLES for file in path.glob(pattern))
    if pickles:
        return (
            f"{path} has its weights pickled ({', '.join(pickles)}), which can run any code when read; "
            f"save them again as safetensors ({missing})"
        )
    return f"{path} has no {missing}; copy the folder again"


def _check_labels(
    path: Path, config: Mapping[str, Any], shapes: Shapes, num_labels: int, setting: str
) -> None:
    heads = {name: shape for name, shape in shapes.items() if _head_of(name) is not None}
    if not heads:
        raise ConfigError.at(
            setting,
            f"{path} holds no head (score.weight or the like), only a language model; "
            "name a sequence-classification model, or an adapter with a head",
        )
    labels = _labels(config)
    for name, shape in heads.items():
        if shape[:1] != (num_labels,):
            raise ConfigError.at(
                setting, f"{path} has {shape[0]} outputs in {name}, and {_labels_needed(num_labels)}"
            )
    if labels != num_labels:
        raise ConfigError.at(
            setting, f"{path / 'config.json'} has num_labels {labels}, and {_labels_needed(num_labels)}"
        )


def _labels(config: Mapping[str, Any]) -> int:
    """Number of labels that transformers would read."""
    if config.get("num_labels") is not None:
        return _whole(config["num_labels"])
    return len(config.get("id2label") or range(_DEFAULT_LABELS))


def _check_head(
    file: Path, shapes: Shapes, head: str | None, *, base: ModelFolder, num_labels: int, setting: str
) -> None:
    if head is None:
        raise ConfigError.at(
            setting,
            f"{file} holds no head; train it with task_type='SEQ_CLS', or with modules_to_save=['score']",
        )
    rows, *inputs = shapes[head]
    if rows != num_labels:
        raise ConfigError.at(
            setting, f"{file} has {rows} outputs in {head}, and {_labels_needed(num_labels)}"
        )
    hidden = base.config.get("hidden_size")
    if hidden is not None and inputs not in ([hidden], []):
        raise _other_base(file, base, setting, f"{head} is of size {inputs}, not {hidden}")


def _labels_needed(num_labels: int) -> str:
    return f"this kind needs {num_labels}; train it with num_labels={num_labels}, or use another kind"


def _check_base(file: Path, shapes: Shapes, base: ModelFolder, setting: str, *, transposed: bool) -> None:
    """Raise ConfigError unless the base has the adapter's modules, in equal sizes.

    Args:
        transposed: whether the base keeps its weights as (inputs, outputs), as GPT-2 does.
    """
    if base.config.get("quantization_config"):
        return  # quantized weights are packed, in shapes of their own
    for name, adapted, axis, size in _adapted(shapes):
        weight = base.shapes.get(adapted, base.shapes.get(adapted.removeprefix("model.")))
        base_size = 0 if weight is None else weight[1 - axis if transposed else axis]
        if base_size != size:
            why = "has no such module" if weight is None else f"has size {base_size}, not {size}"
            raise _other_base(file, base, setting, f"{name}: the model {why}")


def _adapted(shapes: Shapes) -> Iterator[tuple[str, str, int, int]]:
    """LoRA tensors as (name, name of the base weight, common axis of the base weight, its length)."""
    for name, shape in shapes.items():
        for part, axis in ((".lora_A.", 1), (".lora_B.", 0)):
            module, separator, _ = _bare(name).partition(part)
            if separator and len(shape) == 2:
                yield name, f"{module}.weight", axis, shape[axis]


def _other_base(file: Path, base: ModelFolder, setting: str, why: str) -> ConfigError:
    return ConfigError.at(
        setting, f"{file} is not an adapter of {base.path}; name the model that it was trained on ({why})"
    )


def _bare(name: str) -> str:
    """Name in the base of a tensor of an adapter."""
    return name.removeprefix("base_model.model.").replace(".base_layer.", ".")


def _head_of(name: str) -> str | None:
    """The head whose last weight a tensor is; None for other tensors."""
    return next((head for head in _HEADS if name == f"{head}.weight"), None)


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0
