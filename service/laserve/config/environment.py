"""Settings from environment variables.

Precedence, highest first: ``LASERVE_SECTION__NAME``; ``LASERVE_HOST`` and ``LASERVE_PORT``; ``HOST`` and
``PORT``. An empty variable is as good as none. Names that begin with the prefix may be in any case.
"""

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

from laserve.config.messages import names
from laserve.config.settings import Settings, schema
from laserve.errors import ConfigError

PREFIX = "LASERVE_"
#: Variables that are not settings, without the prefix: the client's, and those that Kubernetes sets for a
#: Service whose name begins with laserve.
_FOREIGN = re.compile(r"API_KEY|(.+_)?(SERVICE_(HOST|PORT)|PORT_\d+_(TCP|UDP|SCTP))(_.*)?")
#: A value of Kubernetes' LASERVE_PORT, for a Service named laserve.
_ADDRESS = re.compile(r"(tcp|udp|sctp)://")
_SHORT = ("HOST", "PORT")


def environment() -> list[Mapping[str, Any]]:
    """Settings of the environment, highest precedence first.

    Raises:
        ConfigError: a variable names no setting, is set in two spellings, or should be JSON and is not.
    """
    ours: dict[str, str] = {}
    for name, value in os.environ.items():
        short = name.upper().removeprefix(PREFIX)
        if not name.upper().startswith(PREFIX) or not value or _of_kubernetes(short, value):
            continue
        if ours.setdefault(short, value) != value:
            raise ConfigError.at(name, f"is set in another spelling too ({PREFIX}{short}); keep one of them")
    known = (*_SHORT, *Settings.model_fields)
    unknown = [name for name in ours if name.partition("__")[0] not in map(str.upper, known)]
    if unknown:
        lines = [f"{PREFIX}{name}: no such setting{_near(name)}" for name in unknown]
        raise ConfigError("; ".join(lines), param=PREFIX + unknown[0])
    sources = (ours, {name: value for name, value in os.environ.items() if value})
    servers = [{name.lower(): source[name] for name in _SHORT if name in source} for source in sources]
    return [_Nested()(), *({"server": server} for server in servers if server)]


def _of_kubernetes(short: str, value: str) -> bool:
    """Whether a variable is one of Kubernetes, or the client's key."""
    return bool(_FOREIGN.fullmatch(short) or (short.endswith("PORT") and _ADDRESS.match(value)))


def _near(short: str) -> str:
    """The nearest variables that name settings."""
    settings = [name.replace(".", "__").upper() for name in names(schema())]
    near = [PREFIX + name for name in get_close_matches(short, (*settings, *_SHORT), n=2)]
    return f"; did you mean {' or '.join(near)}?" if near else ""


class _Nested(EnvSettingsSource):
    """Environment variables that begin with the prefix; two underscores separate section and name."""

    def __init__(self) -> None:
        # The source reads only the fields and the configuration of the class, which every model has.
        super().__init__(
            Settings,  # type: ignore[arg-type]
            env_prefix=PREFIX,
            env_nested_delimiter="__",
            env_ignore_empty=True,
        )
        self._decoded: Any = None

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        self._decoded = value
        return super().decode_complex_value(field_name, field, value)

    def prepare_field_value(
        self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool
    ) -> Any:
        try:
            return super().prepare_field_value(field_name, field, value, value_is_complex)
        except ValueError:  # the error's text may quote a secret
            section = f"{PREFIX}{field_name}".upper()
            name = next(
                name
                for name, text in os.environ.items()
                if name.upper().startswith(section) and text == self._decoded
            )
            raise ConfigError.at(name, 'write JSON: a list ["..", ..] or a mapping {"name": ..}') from None
