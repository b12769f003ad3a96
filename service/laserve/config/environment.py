"""Settings from environment variables.

Precedence, highest first: ``LASERVE_SECTION__NAME``; ``LASERVE_HOST`` and ``LASERVE_PORT``; ``HOST`` and
``PORT``. An empty variable is as good as none. Names that begin with the prefix may be in any case.
"""

import json
import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

from laserve.config.messages import names
from laserve.config.section import Steps
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
    unknown = [name for name in ours if not _known(name)]
    if unknown:
        lines = [f"{PREFIX}{name}: no such setting{_near(name)}" for name in unknown]
        raise ConfigError("; ".join(lines), param=PREFIX + unknown[0])
    sources = (ours, {name: value for name, value in os.environ.items() if value})
    servers = [{name.lower(): source[name] for name in _SHORT if name in source} for source in sources]
    return [_Nested()(), *({"server": server} for server in servers if server)]


def _of_kubernetes(short: str, value: str) -> bool:
    """Whether a variable is one of Kubernetes, or the client's key."""
    return bool(_FOREIGN.fullmatch(short) or (short.endswith("PORT") and _ADDRESS.match(value)))


def variable(steps: Steps) -> str | None:
    """The variable that sets a setting, or one around it."""
    spelled = {name.upper(): name for name, value in os.environ.items() if value}
    around = ["__".join(map(str, steps[:length])).upper() for length in range(len(steps), 0, -1)]
    candidates = [PREFIX + name for name in around]
    if steps[:1] == ("server",) and around[0].removeprefix("SERVER__") in _SHORT:
        short = around[0].removeprefix("SERVER__")
        candidates = [candidates[0], PREFIX + short, short, *candidates[1:]]
    return next((spelled[name] for name in candidates if name in spelled), None)


def _known(short: str) -> bool:
    """Whether a variable names a section, a setting, or a name in one of the two."""
    field, inside, _ = short.partition("__")
    sections = {name.partition(".")[0].upper() for name in names(schema()) if "." in name}
    return (
        field in sections or field == "ARMS" or (not inside and field in (*_SHORT, "DATA_DIR", "CACHE_DIR"))
    )


def _near(short: str) -> str:
    """The nearest variables that name settings."""
    settings = [name.replace(".", "__").upper() for name in names(schema())]
    near = [PREFIX + name for name in get_close_matches(short, (*settings, *_SHORT), n=2)]
    return f"; did you mean {' or '.join(near)}?" if near else ""


class _Twice(ValueError):
    """A mapping in JSON has a name twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The mapping of names and values in JSON."""
    mapping: dict[str, Any] = {}
    for name, value in pairs:
        if name in mapping:
            raise _Twice(f"{name} is given twice; write it once")
        mapping[name] = value
    return mapping


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
        return json.loads(value, object_pairs_hook=_once)

    def prepare_field_value(
        self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool
    ) -> Any:
        try:
            return super().prepare_field_value(field_name, field, value, value_is_complex)
        except (ValueError, RecursionError) as error:
            section = f"{PREFIX}{field_name}".upper()
            name = next(
                name
                for name, text in os.environ.items()
                if name.upper().startswith(section) and text == self._decoded
            )
            reason = 'write JSON: a list ["..", ..] or a mapping {"name": ..}'
            if isinstance(error, _Twice):  # the text of another error may quote a secret
                reason = str(error)
            raise ConfigError.at(name, reason) from None
