"""Sizes of models, from the headers of their safetensors or from their config.json; no weights are read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from laserve.engines.kv_cache import token_bytes

#: Bytes of a number of these types.
SIZES = {"float32": 4, "float16": 2, "bfloat16": 2}
_FLOATS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_INDEX = "model.safetensors.index.json"


@dataclass(frozen=True, kw_only=True)
class Weights:
    """The weights of a model."""

    #: Content of its config.json; empty without one.
    config: Mapping[str, Any]
    #: Number of weights in floating point, which a loader converts.
    floats: int
    #: Bytes of all other weights, such as quantized ones.
    other_bytes: int
    #: Tensor -> its shape; empty where only config.json is known.
    shapes: Mapping[str, tuple[int, ...]]

    def bytes(self, of_one: int) -> int:
        """Bytes in memory, where a floating-point weight takes `of_one` bytes."""
        return self.floats * of_one + self.other_bytes

    @property
    def source(self) -> str:
        """Where the number comes from."""
        return "headers of the safetensors" if self.shapes else "config.json"

    @property
    def decodes(self) -> bool:
        """Whether it is a decoder, and not an encoder of pairs."""
        causal = any(name.endswith("ForCausalLM") for name in self.config.get("architectures") or ())
        return causal or "score.weight" in self.shapes

    def kv_token_bytes(self) -> int | None:
        """Bytes of one token in a KV cache of 16-bit numbers; None where config.json does not say."""
        return token_bytes(self.config)

    @property
    def longest(self) -> int | None:
        """Length of the longest text in tokens; None where config.json does not say."""
        config = self.config.get("text_config") or self.config
        length = config.get("max_position_embeddings")
        return length if isinstance(length, int) else None

    def lora_bytes(self, *, rank: int, slots: int) -> int:
        """Bytes that a vLLM engine reserves for adapters: two 16-bit matrices at each projection."""
        sizes = (sum(shape) for name, shape in self.shapes.items() if name.endswith("_proj.weight"))
        return 2 * rank * slots * sum(sizes)


def read_weights(folder: Path) -> Weights | None:
    """Weights of the model in a folder; None where neither safetensors nor config.json say their number."""
    config = _json(folder / "config.json")
    shapes: dict[str, tuple[int, ...]] = {}
    floats = others = 0
    try:
        for file in _files(folder):
            with safe_open(file, framework="numpy") as tensors:
                for name in tensors.keys():  # noqa: SIM118 - it is no mapping
                    tensor = tensors.get_slice(name)
                    shapes[name] = tuple(tensor.get_shape())
                    count = prod(shapes[name])
                    floats += count if tensor.get_dtype() in _FLOATS else 0
                    others += 0 if tensor.get_dtype() in _FLOATS else count * _width(tensor.get_dtype())
    except (OSError, SafetensorError):
        shapes = {}
    if not shapes:
        floats, others = _counted(config), 0
    if not floats and not others:
        return None
    return Weights(config=config, floats=floats, other_bytes=others, shapes=shapes)


def disk_bytes(folder: Path) -> int:
    """Bytes of the files in a folder and below it."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _files(folder: Path) -> list[Path]:
    listed = _json(folder / _INDEX).get("weight_map")
    if isinstance(listed, dict):
        return [folder / name for name in sorted(set(map(str, listed.values())))]
    return sorted(folder.glob("*.safetensors"))


def _width(dtype: str) -> int:
    """Bytes of one number of a type of safetensors, such as I32 and F8_E4M3."""
    bits = "".join(character for character in dtype.partition("_")[0] if character.isdigit())
    return max(1, int(bits or 8) // 8)


def _counted(config: Mapping[str, Any]) -> int:
    """Number of weights of a dense decoder, by its config.json; 0 for another model."""
    try:
        hidden, layers = config["hidden_size"], config["num_hidden_layers"]
        heads = config["num_attention_heads"]
        size = config.get("head_dim") or hidden // heads
        pairs = config.get("num_key_value_heads") or heads
        if any(config.get(name) for name in ("num_experts", "num_local_experts", "n_routed_experts")):
            return 0
        attention = 2 * hidden * size * (heads + pairs)
        tables = config["vocab_size"] * hidden * (1 if config.get("tie_word_embeddings") else 2)
        return int(
            tables + layers * (attention + 3 * hidden * config["intermediate_size"] + 2 * hidden) + hidden
        )
    except (KeyError, TypeError, ZeroDivisionError):
        return 0


def _json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
