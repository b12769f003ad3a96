"""What decides the scores that an arm gives, in a fingerprint."""

import inspect
from collections.abc import Mapping
from typing import Any

from laserve.config.secrets import public, public_text
from laserve.errors import ConfigError
from laserve.models.fingerprint import computing, fingerprint, model_content, server_address
from laserve.models.folders import adapter_folder
from laserve.scoring import python, registry
from laserve.scoring.allowed import PATHS, SERVED, URLS

#: Options that say how scores are come by, of any kind and of the fake.
_MEANS = frozenset({"batch_tokens", "concurrency", "device", "trust_remote_code"})
_FAULTS = frozenset({"delay_s", "fail", "fail_after", "fault", "fault_file"})
#: Options whose defaults are told too, since a later version may have others.
_DEFAULTED = frozenset({"model", "prompt"})


def arm_fingerprint(kind: str, options: Mapping[str, Any]) -> str | None:
    """Of an arm of this kind and these options, as `laserve.scoring.registry.create` takes them.

    Secrets are not in it, nor what changes no score. It reads files.

    Returns:
        None where there is no such kind, or a model's folder cannot be read: the arm says so when it loads.
    """
    try:
        parameters = inspect.signature(registry.builder(kind, options)).parameters
    except (ConfigError, ImportError, TypeError, ValueError):
        return None
    told: dict[str, Any] = {}
    named = public(options).keys() | (_DEFAULTED & parameters.keys())
    for name in named - (_FAULTS if kind == "fake" else _MEANS):
        default = parameters[name].default if name in parameters else inspect.Parameter.empty
        value = options.get(name, default)
        usual = name not in _DEFAULTED and public(value) == public(default)
        if value is None or value is inspect.Parameter.empty or usual:
            continue
        if (value := _content(kind, name, value)) is None:
            return None
        if value != {}:
            told[name] = value
    package = {"package": python.release(options.get("name"))} if kind == "python" else {}
    return fingerprint({"kind": kind, "options": told} | package)


def _content(kind: str, name: str, value: Any) -> Any:
    """What an option stands for; None where that cannot be known."""
    if name == "engine_args" and isinstance(value, Mapping):
        return public(computing(value))
    if not isinstance(value, str) or (name == "model" and kind in SERVED):
        return public(value)
    if name in URLS:
        return server_address(value)
    if name in PATHS:
        return model_content(str(adapter_folder(value)) if name == "adapter" else value)
    return public_text(value)
