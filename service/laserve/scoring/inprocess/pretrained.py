"""The loading of models that transformers or PEFT has saved, and checks of its options."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from laserve.errors import ConfigError

#: Smallest allowed length of the longest text, in tokens.
SHORTEST = 64
DTYPES = ("auto", "bfloat16", "float16", "float32")


def check_options(*, dtype: str, max_model_len: int | None, batch_tokens: int) -> None:
    """Raise ConfigError for invalid options."""
    if dtype not in DTYPES:
        raise ConfigError.at("options.dtype", f"unknown type {dtype!r}; there are: {', '.join(DTYPES)}")
    if max_model_len is not None and max_model_len < SHORTEST:
        raise ConfigError.at("options.max_model_len", f"must be at least {SHORTEST}")
    if batch_tokens < 1:
        raise ConfigError.at("options.batch_tokens", "must be at least 1")


@contextmanager
def quiet(setting: str, path: str | Path) -> Iterator[None]:
    """A context for loading without bars and notices. Raises ConfigError, naming the setting, on failure."""
    try:
        from transformers.utils import logging
    except ImportError as error:
        raise ConfigError.at(setting, f"{error}; pip install 'laserve[encoder]'") from error

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    except ImportError as error:
        raise ConfigError.at(setting, f"{path} requires a missing package: {error}") from error
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError.at(setting, f"cannot load {path}: {error}") from error
    finally:
        logging.set_verbosity(before)


def with_adapter(core: Any, folder: Path) -> Any:
    """The PEFT model of a transformers model with a LoRA adapter, whose head replaces the model's head.

    Raises:
        ConfigError: PEFT is not installed, or cannot read the folder.
    """
    try:
        from peft import PeftModel
    except ImportError as error:
        raise ConfigError.at("options.adapter", "requires PEFT; pip install 'laserve[train]'") from error
    with quiet("options.adapter", folder):
        return PeftModel.from_pretrained(core, folder, autocast_adapter_dtype=False)


def longest(config: Any, setting: int | None) -> int:
    """Length of the longest text in tokens: `setting`, by default the length that the model was made for.

    Raises:
        ConfigError: the length is unknown, or the setting is longer than the model's length.
    """
    text = config.get_text_config()
    model_length = next(
        (
            int(value)
            for name in ("max_position_embeddings", "n_positions", "max_sequence_length")
            if (value := getattr(text, name, None))
        ),
        None,
    )
    if model_length is None and setting is None:
        raise ConfigError.at(
            "options.max_model_len", "the model's config does not tell its longest text; set this option"
        )
    if model_length is not None and setting is not None and setting > model_length:
        raise ConfigError.at(
            "options.max_model_len", f"{setting} is more than the {model_length} tokens of the model"
        )
    return setting or model_length or 0
