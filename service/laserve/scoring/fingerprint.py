"""Fingerprints of arms: of the kind, the options and the model files that decide their scores."""

import inspect
from collections.abc import Mapping
from typing import Any

from laserve.config.secrets import public, public_text
from laserve.errors import ConfigError
from laserve.models.fingerprint import computing, fingerprint, model_content, server_address
from laserve.models.folders import adapter_folder
from laserve.scoring import python, registry
from laserve.scoring.allowed import PATHS, SERVED, URLS

#: Options that change no score: of any kind, and of the fake.
_MEANS = frozenset({"batch_tokens", "concurrency", "device", "trust_remote_code"})
_FAULTS = frozenset({"delay_s", "fail", "fail_after", "fault", "fault_file"})
#: Options that are in a fingerprint with their default value too, since later versions may change it.
_DEFAULTED = frozenset({"model", "prompt"})


def arm_fingerprint(kind: str, options: Mapping[str, Any]) -> str | None:
    """Fingerprint of an arm with this kind and these options, as in `laserve.scoring.registry.create`.

    Secrets and options that change no score are left out. The function reads files.

    Returns:
        None if the kind does not exist or a model's folder cannot be read; the arm reports it when it loads.
    """
    try:
        parameters = inspect.signature(registry.builder(kind, options)).parameters
    except (ConfigError, ImportError, TypeError, ValueError):
        return None
    content: dict[str, Any] = {}
    names = public(options).keys() | (_DEFAULTED & parameters.keys())
    for name in names - (_FAULTS if kind == "fake" else _MEANS):
        default = parameters[name].default if name in parameters else inspect.Parameter.empty
        value = options.get(name, default)
        usual = name not in _DEFAULTED and public(value) == public(default)
        if value is None or value is inspect.Parameter.empty or usual:
            continue
        if (value := _content(kind, name, value)) is None:
            return None
        if value != {}:
            content[name] = value
    package = {"package": python.release(options.get("name"))} if kind == "python" else {}
    return fingerprint({"kind": kind, "options": content} | package)


def _content(kind: str, name: str, value: Any) -> Any:
    """Content of an option, such as a digest of the model's files; None if it cannot be read."""
    if name == "engine_args" and isinstance(value, Mapping):
        return public(computing(value))
    if not isinstance(value, str) or (name == "model" and kind in SERVED):
        return public(value)
    if name in URLS:
        return server_address(value)
    if name in PATHS:
        return model_content(str(adapter_folder(value)) if name == "adapter" else value)
    return public_text(value)
