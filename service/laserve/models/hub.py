"""Models of a model hub: their folders in Hugging Face's cache, and their download on demand.

Only `download` talks to the hub. Everything else reads the cache, whose place is that of huggingface_hub
(``HF_HOME``, ``HF_HUB_CACHE``).
"""

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from laserve.errors import ConfigError

#: Command that fetches the models which the settings name.
COMMAND = "laserve models --config FILE --download"
#: Files of a model's weights, and of its configuration and tokenizer. Pickles and code are never fetched.
_WEIGHTS = ("*.safetensors",)
_TEXTS = ("*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken")
#: Copies of the weights in other formats, and files in subfolders.
_OTHERS = ("*/*", "consolidated*.safetensors")
#: File that names the shards of weights in several files.
_INDEX = "model.safetensors.index.json"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_ROOM = "make room, or set HF_HOME to a folder on another disk"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_hub_name(reference: str) -> bool:
    """Whether a reference has the form of a hub's name, and no such file or folder exists."""
    return _NAME.fullmatch(reference) is not None and not Path(reference).exists()


def cache_folder() -> Path:
    """Hugging Face's cache of models."""
    try:
        from huggingface_hub import constants
    except ImportError:
        return Path("~/.cache/huggingface/hub").expanduser()
    return Path(constants.HF_HUB_CACHE)


def cached(name: str, revision: str | None = None, *, weights: bool = True) -> Path | None:
    """Folder of a hub's model in the cache; None while the model, or a part of it, is not there.

    Args:
        name: name of the model on the hub.
        revision: branch, tag or commit; None for ``main``.
        weights: whether the weights are needed, or the tokenizer alone.
    """
    try:
        from huggingface_hub.errors import HFValidationError
    except ImportError:
        return None
    try:
        folder = Path(_snapshot(name, revision, weights, local_files_only=True))
    except (OSError, HFValidationError):  # the errors about an absent or incomplete snapshot are OSErrors
        return None
    complete = not weights or ((folder / "config.json").is_file() and _has_weights(folder))
    return folder if complete else None


def locate(name: str, revision: str | None = None, *, weights: bool = True, setting: str = "model") -> Path:
    """Folder of a hub's model in the cache. Raises ConfigError, with the command that fetches it."""
    folder = cached(name, revision, weights=weights)
    if folder is None:
        raise absent(name, revision, setting=setting)
    return folder


def absence(name: str, revision: str | None = None) -> str:
    """Sentence about a model that is not in the cache."""
    at = "" if revision is None else f" at revision {revision}"
    return f"there is no folder {name}, and no model of this name{at} in the cache {cache_folder()}"


def absent(name: str, revision: str | None = None, *, setting: str = "model") -> ConfigError:
    """The error about a model that is not in the cache, with the command that fetches it."""
    return ConfigError.at(setting, f"{absence(name, revision)}; fetch it with: {COMMAND}")


def model_name(folder: str | Path) -> str:
    """Name of a model's folder, or last step of its name on the hub if it is in the hub's cache."""
    path = Path(folder)
    if path.parent.name == "snapshots":
        return path.parent.parent.name.rpartition("--")[2]
    return path.name


def download(
    name: str,
    revision: str | None = None,
    *,
    weights: bool = True,
    setting: str = "model",
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Fetch a model into the cache, unless it is there, and return its folder.

    Args:
        name: name of the model on the hub.
        revision: branch, tag or commit; None for ``main``.
        weights: whether the weights are needed, or the tokenizer alone.
        setting: the setting that errors name.
        report: takes lines about the progress; bars of single files go to standard error.

    Raises:
        ConfigError: the hub cannot be reached, has no such model, or refuses it; the model has no
            safetensors; or the disk is full.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise ConfigError.at(setting, f"{error}; pip install huggingface-hub") from error
    if huggingface_hub.constants.is_offline_mode():
        raise ConfigError.at(
            setting, "HF_HUB_OFFLINE is set, so nothing is fetched; unset it for this command"
        )

    with _translated(name, revision, setting):
        files = _snapshot(name, revision, weights, dry_run=True)
        if weights:
            _check_files(name, [file.filename for file in files], setting)
        wanted = sum(file.file_size for file in files if file.will_download)
        _check_room(name, wanted, setting)
        if wanted:
            report(f"fetching {name} ({wanted / 1e9:.3g} GB) into {cache_folder()} ...")
        return Path(_snapshot(name, revision, weights))


def _has_weights(folder: Path) -> bool:
    """Whether all shards that a folder's index names are there; without an index, any safetensors.

    The client of the hub takes a snapshot for complete when its list of the files is not cached.
    """
    try:
        shards = set(json.loads((folder / _INDEX).read_text(encoding="utf-8"))["weight_map"].values())
    except FileNotFoundError:
        return any(not file.match("consolidated*") and file.is_file() for file in folder.glob(_WEIGHTS[0]))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # an index that cannot be read
        return False
    return all((folder / str(shard)).is_file() for shard in shards)


def _snapshot(name: str, revision: str | None, weights: bool, **options: Any) -> Any:
    from huggingface_hub import snapshot_download

    return snapshot_download(
        name,
        revision=revision,
        allow_patterns=[*_TEXTS, *(_WEIGHTS if weights else ())],
        ignore_patterns=list(_OTHERS),
        **options,
    )


def _check_files(name: str, files: Sequence[str], setting: str) -> None:
    if not any(file.endswith(".safetensors") for file in files):
        raise ConfigError.at(
            setting,
            f"{name} has no safetensors on the hub; pickled weights can run any code, and are not fetched",
        )


def _check_room(name: str, wanted: int, setting: str) -> None:
    folder = next(path for path in (cache_folder(), *cache_folder().parents) if path.exists())
    if wanted > (free := shutil.disk_usage(folder).free):
        raise ConfigError.at(
            setting,
            f"{name} takes {wanted / 1e9:.3g} GB, and {folder} has {free / 1e9:.3g} GB free; {_ROOM}",
        )


@contextmanager
def _translated(name: str, revision: str | None, setting: str) -> Iterator[None]:
    """Turn the errors of the hub's client, and of the libraries below it, into a ConfigError."""
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:  # the client passes on the errors of several libraries for HTTP and storage
        raise ConfigError.at(setting, _reason(error, name, revision)) from error


def _reason(error: BaseException, name: str, revision: str | None) -> str:
    """Sentence about an error of the hub's client."""
    from huggingface_hub import constants

    causes = [error]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    hub, last = constants.ENDPOINT, causes[-1]
    for each in causes:
        if isinstance(each, OSError) and each.errno in _FULL:
            return f"{name} does not fit on the disk of {cache_folder()} ({os.strerror(each.errno)}); {_ROOM}"
        if isinstance(each, PermissionError):
            return f"{name} cannot be written into {cache_folder()}: {each.strerror}; set HF_HOME"
        if (refusal := _refusal(each, hub, name, revision)) is not None:
            return refusal
    return f"{hub} cannot be reached ({type(last).__name__}: {last}); fetch {name} where it can"


def _refusal(error: BaseException, hub: str, name: str, revision: str | None) -> str | None:
    """Sentence about an answer of the hub; None for another error."""
    from huggingface_hub import errors

    for kind, sentence in (
        (
            errors.GatedRepoError,
            f"{name} is gated: accept its terms at {hub}/{name}, and set HF_TOKEN to a token of that account",
        ),
        (errors.RevisionNotFoundError, f"{name} has no revision {revision} at {hub}"),
        (
            errors.RepositoryNotFoundError,
            f"{hub} has no model {name}, or it is private and needs a token in HF_TOKEN",
        ),
        (errors.HFValidationError, f"{name} is no name of a model on a hub"),
    ):
        if isinstance(error, kind):
            return sentence
    if isinstance(error, errors.HfHubHTTPError):
        return f"{hub} answered {error.response.status_code} about {name}; try again later"
    return None
