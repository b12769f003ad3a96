"""Loading what transformers and PEFT have saved."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from laserve.errors import ConfigError

#: Tokens below which no request fits.
SHORTEST = 64
DTYPES = ("auto", "bfloat16", "float16", "float32")


def check_options(*, dtype: str, max_model_len: int | None, batch_tokens: int) -> None:
    """Raise ConfigError for options that no model can have."""
    if dtype not in DTYPES:
        raise ConfigError.at("options.dtype", f"no {dtype!r}; there are: {', '.join(DTYPES)}")
    if max_model_len is not None and max_model_len < SHORTEST:
        raise ConfigError.at("options.max_model_len", f"must be at least {SHORTEST}")
    if batch_tokens < 1:
        raise ConfigError.at("options.batch_tokens", "must be at least 1")


@contextmanager
def quiet(setting: str, path: str | Path) -> Iterator[None]:
    """Loads without bars and notices; raises ConfigError, which names the setting, for what is not there."""
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
        raise ConfigError.at(setting, f"{path} needs a package that is missing: {error}") from error
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError.at(setting, f"cannot load {path}: {error}") from error
    finally:
        logging.set_verbosity(before)


def with_adapter(core: Any, folder: Path) -> Any:
    """PEFT's model of a transformers model with a LoRA adapter, whose head takes the place of the model's.

    Raises:
        ConfigError: PEFT is not installed, or does not read the folder.
    """
    try:
        from peft import PeftModel
    except ImportError as error:
        raise ConfigError.at("options.adapter", "needs PEFT; pip install 'laserve[train]'") from error
    with quiet("options.adapter", folder):
        return PeftModel.from_pretrained(core, folder, autocast_adapter_dtype=False)


def longest(config: Any, wanted: int | None) -> int:
    """Longest text in tokens: what the settings say, at most what the model was made for.

    Raises:
        ConfigError: neither says.
    """
    text = config.get_text_config()
    most = next(
        (
            int(value)
            for name in ("max_position_embeddings", "n_positions", "max_sequence_length")
            if (value := getattr(text, name, None))
        ),
        None,
    )
    if most is None and wanted is None:
        raise ConfigError.at("options.max_model_len", "the model's config does not tell its length; set one")
    if most is not None and wanted is not None and wanted > most:
        raise ConfigError.at("options.max_model_len", f"{wanted} is more than the {most} tokens of the model")
    return wanted or most or 0
