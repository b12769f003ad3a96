"""Sources of settings: command-line flags, environment variables and one YAML file, validated at start.

Precedence, highest first: command-line flags, environment variables (see `laserve.config.environment`), the
YAML file, the profile, the defaults. Errors name the setting and say what to write.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from laserve.config.environment import environment, variable
from laserve.config.messages import problems
from laserve.config.section import Steps, dotted
from laserve.config.settings import Settings, schema
from laserve.config.yaml_file import SettingsFile, read
from laserve.errors import ConfigError

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
    variables = environment()
    file = SettingsFile() if config is None else read(config)
    try:
        return Settings.of([flags or {}, *variables, file.content, PROFILES.get(profile or "", {})])
    except ValidationError as error:
        lines = {}  # a list that is too short has a problem for each missing item
        for steps, sentence in problems(error, schema()):
            origin = _origin(steps, flags or {}, variables, file)
            lines[f"{dotted(steps)}: {sentence}" + (f" ({origin})" if origin else "")] = dotted(steps)
        raise ConfigError("\n".join(lines), param=next(iter(lines.values()))) from None


def _origin(
    steps: Steps, flags: Mapping[str, Any], variables: Sequence[Mapping[str, Any]], file: SettingsFile
) -> str | None:
    """The variable, or the file, line and column, that a setting has its value from."""
    if _sets(flags, steps):
        return None
    if any(_sets(source, steps) for source in variables):
        return variable(steps)
    return file.position(steps)


def _sets(source: Any, steps: Steps) -> bool:
    """Whether a source has a value for a setting, or for one around it that is no mapping."""
    if not isinstance(source, Mapping) or not steps:
        return True
    return steps[0] in source and _sets(source[steps[0]], steps[1:])
