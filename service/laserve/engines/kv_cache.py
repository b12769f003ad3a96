"""Size of an engine's KV cache on a CPU: what the requests need that are admitted at once, and no more.

The cache of a CPU engine is main memory, which vLLM takes at the start whether it is used or not.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laserve.config.sections import MAX_CANDIDATES, SamplingDefaults
from laserve.engines import cpu
from laserve.errors import ConfigError

#: Blocks beyond those of the requests: vLLM holds one back, and the last block of a request is not full.
_SPARE_BLOCKS = 2


@dataclass(frozen=True, kw_only=True)
class Load:
    """Requests that are admitted at once: one as long as the model allows, the others of a usual size.

    A usual request has a prompt of `cpu.LONG_TOKENS` and the default candidates. A generator on a CPU takes
    longer prompts one at a time.
    """

    requests: int
    defaults: SamplingDefaults

    def tokens(self, longest: int) -> int:
        """Tokens that the cache must hold.

        Args:
            longest: tokens of the longest prompt with one candidate. That request has as many candidates as a
                request may have, which share the blocks of the prompt except for the last one.
        """
        candidate = self.defaults.max_tokens + cpu.BLOCK_SIZE
        usual = cpu.LONG_TOKENS + self.defaults.n * candidate
        return longest + (MAX_CANDIDATES - 1) * candidate + (self.requests - 1) * usual


def load(requests: int | None = None, defaults: SamplingDefaults | None = None) -> Load:
    """The load of a service.

    Args:
        requests: the setting ``server.max_concurrent_requests``.
        defaults: the section ``generation.defaults``.
    """
    return Load(requests=requests or cpu.concurrency(), defaults=defaults or SamplingDefaults())


def with_size(arguments: dict[str, Any], *, expected: Load, section: str) -> dict[str, Any]:
    """The arguments of an engine on a CPU with a size of its KV cache.

    Args:
        arguments: arguments of vLLM's ``AsyncEngineArgs``; a size among them stays.
        section: section of the settings that errors name.

    Raises:
        ConfigError: the cache does not hold the longest text, with which vLLM would not start.
    """
    size: int | None = arguments.get("kv_cache_memory_bytes")
    most = cpu.POOLING_KV_CACHE_BYTES if section == "options" else cpu.GENERATOR_KV_CACHE_BYTES
    config = _config(Path(str(arguments["model"])))
    token = token_bytes(config, width=4 if arguments.get("dtype") == "float32" else 2)
    longest = arguments.get("max_model_len") or _text(config).get("max_position_embeddings")
    sized = "VLLM_CPU_KVCACHE_SPACE" in os.environ or "kv_cache_dtype" in arguments
    if token is None or sized or not isinstance(longest, int) or longest < 1:
        return arguments | {"kv_cache_memory_bytes": size or most}
    spare = _SPARE_BLOCKS * cpu.BLOCK_SIZE
    least = (longest + spare) * token
    if least > (size or most):
        named = "kv_cache_bytes" if section == "generation" else "engine_args.kv_cache_memory_bytes"
        raise ConfigError.at(
            f"{section}.{named}",
            f"the KV cache has {_mib(size or most)}, and one text of {longest:,} tokens takes {_mib(least)}; "
            f"set it to {least} or more, or {section}.max_model_len lower",
        )
    return arguments | {
        "kv_cache_memory_bytes": size or min(most, (expected.tokens(longest) + spare) * token)
    }


def token_bytes(config: Mapping[str, Any], *, width: int = 2) -> int | None:
    """Bytes of one token in a KV cache; None where config.json does not say, or some layers keep less.

    Args:
        config: content of the model's config.json.
        width: bytes of one number in the cache.
    """
    text = _text(config)
    windows = text.get("sliding_window") and text.get("use_sliding_window", True)
    kinds = set(text.get("layer_types") or (["sliding"] if windows else ["full_attention"]))
    if kinds != {"full_attention"} or text.get("kv_lora_rank"):
        return None
    try:
        heads = text.get("num_key_value_heads") or text["num_attention_heads"]
        size = text.get("head_dim") or text["hidden_size"] // text["num_attention_heads"]
        return int(2 * width * text["num_hidden_layers"] * heads * size)
    except (KeyError, TypeError, ZeroDivisionError):
        return None


def _text(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a config.json on the text decoder."""
    return config.get("text_config") or config


def _config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # a name of a hub, or a folder that the loader reports
        return {}
    return config if isinstance(config, dict) else {}


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
