"""Sources of settings: command-line flags, environment variables and one YAML file, validated at start.

Precedence, highest first: command-line flags, ``LASERVE_SECTION__NAME``, ``HOST`` and ``PORT``, the YAML
file, the profile, the defaults. Errors name the setting and the expected value.
"""

import os
import re
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

from laserve.config.settings import Settings
from laserve.errors import ConfigError

PREFIX = "LASERVE_"
#: Variables that are not settings: the client's, and those of Kubernetes for a Service named laserve.
_FOREIGN = re.compile(r"API_KEY$|SERVICE_(HOST|PORT)|PORT($|_)")

PROFILES: dict[str, dict[str, Any]] = {
    "fake": {
        "generation": {"kind": "fake", "model": "fake"},
        "arms": [
            {"name": "loglik", "kind": "loglik"},
            {"name": "consensus", "kind": "consensus"},
            {"name": "relevance", "kind": "relevance"},
        ],
        "scoring": {"allow_kinds": ["loglik", "consensus", "relevance", "fake"]},
        "context": {"encoder": "hash"},
        "storage": {"kind": "memory"},
    }
}


def load(
    *,
    config: Path | None = None,
    profile: str | None = None,
    flags: Mapping[str, Any] | None = None,
) -> Settings:
    """Settings from all sources, validated.

    Args:
        config: the YAML file.
        profile: a name in `PROFILES`.
        flags: nested settings from the command line, with the highest precedence.

    Raises:
        ConfigError: a setting is wrong or unknown; the message has a line for each one.
    """
    if profile is not None and profile not in PROFILES:
        raise ConfigError.at("--profile", f"no {profile!r}; there are: {', '.join(PROFILES)}")
    unknown = [
        f"{PREFIX}{name}"
        for name in (key.removeprefix(PREFIX) for key in os.environ if key.startswith(PREFIX))
        if name.partition("__")[0].lower() not in Settings.model_fields and not _FOREIGN.match(name)
    ]
    if unknown:
        raise ConfigError("; ".join(f"{name}: no such setting" for name in unknown), param=unknown[0])
    server = {name.lower(): os.environ[name] for name in ("HOST", "PORT") if os.environ.get(name)}
    layers = [
        flags or {},
        _Environment()(),
        {"server": server} if server else {},
        _read_yaml(config),
        PROFILES.get(profile or "", {}),
    ]
    try:
        return Settings.of(layers)
    except ValidationError as error:
        raise _refused(error) from None


class _Environment(EnvSettingsSource):
    """Environment variables that begin with the prefix; two underscores separate section and name."""

    def __init__(self) -> None:
        # The source reads only the fields and the configuration of the class, which every model has.
        super().__init__(Settings, env_prefix=PREFIX, env_nested_delimiter="__")  # type: ignore[arg-type]

    def prepare_field_value(
        self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool
    ) -> Any:
        try:
            return super().prepare_field_value(field_name, field, value, value_is_complex)
        except ValueError:  # the error's text may quote a secret
            names = sorted(key for key in os.environ if key.startswith(f"{PREFIX}{field_name}".upper()))
            raise ConfigError(
                f"{' or '.join(names)}: must be JSON, a list or a mapping", param=names[0]
            ) from None


def _refused(error: ValidationError) -> ConfigError:
    """The error of all wrong settings, a line for each."""
    details = error.errors(include_url=False, include_input=False)
    lines, names = [], []
    for detail in details:
        if any(len(other["loc"]) > len(detail["loc"]) == _shared(other, detail) for other in details):
            continue  # a deeper entry has the reason
        names.append(".".join(str(part) for part in detail["loc"]))
        lines.append(f"{names[-1]}: {_reason(detail)}")
    return ConfigError("\n".join(lines), param=names[0])


def _reason(detail: Any) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return "no such setting"
        case "value_error":  # raised by our validators
            return str(detail["ctx"]["error"])
    return str(detail["msg"])


def _shared(one: Any, other: Any) -> int:
    """Number of leading steps that the locations of two errors have in common."""
    pairs = zip(one["loc"], other["loc"], strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _read_yaml(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError.at("--config", f"cannot read {path}: {error}") from error
    except yaml.MarkedYAMLError as error:  # the error's text quotes the line, which may hold a secret
        mark = error.problem_mark
        position = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError.at("--config", f"{path}{position}: is not YAML: {error.problem}") from None
    except yaml.YAMLError:
        raise ConfigError.at("--config", f"{path} is not YAML") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError.at(
            "--config", f"{path} must hold a mapping of settings, not a {type(content).__name__}"
        )
    for name in content:
        if not isinstance(name, str):
            raise ConfigError.at(str(name), "no such setting")
    return content
