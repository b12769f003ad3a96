"""The page of the settings: their names, variables, types, defaults and meanings."""

import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from _reference.tables import NONE, code, table, words
from laserve.config import ArmSettings, Section, Settings
from laserve.config.settings import schema
from laserve.scoring.registry import KINDS

INTRO = """# Settings

Settings come from one YAML or JSON file (`--config FILE`), from environment variables and from flags. The
variable of `policy.alpha` is `LASERVE_POLICY__ALPHA`: two underscores stand for each dot. Lists and
mappings in a variable are written as JSON. An empty variable is as good as none.

## Precedence

Flags win over variables, variables win over the file, the file wins over the profile, and the profile wins
over the defaults. `LASERVE_SERVER__PORT` wins over `LASERVE_PORT`, and that over `PORT`; likewise for
`HOST`. Mappings of several sources are merged name by name; of a list, one source gives the whole.

In values of the file, `${NAME}` and `${NAME:-default}` are environment variables, and `$$` is a dollar.
Quote them where they stand inside `{ }` or `[ ]`. An empty section is the default, and an empty text is as
good as none.

What is wrong, unknown, written twice or not set stops the start. The error names the setting, its line or
variable, and what to write instead.
"""
#: Parts of the service that a kind takes as arguments; no option is named so.
_PARTS = {"encoder", "engines", "cache_dir"}
_SPECIAL: Mapping[str, str] = {"arms": "the six arms that come with laserve"}
_ARGUMENT = re.compile(r"^    (\w+): (.*(?:\n {8,}.*)*)", re.MULTILINE)
_SCALARS: Mapping[Any, str] = {str: "text", int: "integer", float: "number", bool: "true or false"}


def page() -> str:
    parts = [INTRO]
    own = [name for name, field in Settings.model_fields.items() if not _section(field.annotation)]
    parts.append("## Folders and arms\n\n" + _settings(Settings, schema(), names=own))
    for name, field in Settings.model_fields.items():
        if _section(field.annotation):
            parts.append(f"## {name}\n\n{_section_text(name, field.annotation)}")
    parts += [_arm(), _kinds()]
    return "\n".join(parts)


def _section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)


def _section_text(name: str, section: Any) -> str:
    return f"{inspect.getdoc(section)}\n\n" + _settings(section, _definition(section), prefix=f"{name}.")


def _definition(section: type[Section]) -> Mapping[str, Any]:
    return schema()["$defs"][section.__name__]  # type: ignore[no-any-return]


def _settings(
    section: type[Section], described: Mapping[str, Any], *, prefix: str = "", names: list[str] | None = None
) -> str:
    rows = _rows(section, described, prefix, names)
    return table(["setting and variable", "type", "default", "what"], rows)


def _rows(
    section: type[Section], described: Mapping[str, Any], prefix: str, names: list[str] | None = None
) -> Iterator[list[str]]:
    for name, field in section.model_fields.items():
        if names is not None and name not in names:
            continue
        if _section(field.annotation):
            yield from _rows(field.annotation, _definition(field.annotation), f"{prefix}{name}.")  # type: ignore[arg-type]
            continue
        full = f"{prefix}{name}"
        variable = f"LASERVE_{full.replace('.', '__').upper()}"
        default = _SPECIAL.get(full) or _default(field.get_default(call_default_factory=True))
        yield [
            f"{code(full)}<br>{code(variable)}",
            words(described["properties"][name]),
            default,
            field.description or "",
        ]


def _default(value: Any) -> str:
    match value:
        case None:
            return NONE
        case tuple() | list() if value:
            return code(", ".join(map(str, value)))
        case bool():
            return code(str(value).lower())
        case Path() | str() if str(value):
            return code(str(value).replace(str(Path.home()), "~"))
        case int() | float():
            return code(value)
        case _:
            return "empty"


def _arm() -> str:
    rows = [
        [code(name), words(_definition(ArmSettings)["properties"][name]), default, field.description or ""]
        for name, field in ArmSettings.model_fields.items()
        for default in [
            "required" if field.is_required() else _default(field.get_default(call_default_factory=True))
        ]
    ]
    return "## An arm\n\nEach entry of `arms` is a reward model that the policy can choose.\n\n" + table(
        ["key", "type", "default", "what"], rows
    )


# kinds of arms


def _kinds() -> str:
    parts = [
        "## Kinds of arms\n\nAn arm's `kind` says how its scores are made, and which `options` it has. "
        "[Reward models](reward-models.md) says which kind is for what.\n"
    ]
    for kind, target in KINDS.items():
        build = _imported(target)
        what = _plain((inspect.getdoc(build) or "").partition("\n")[0])
        rows = _PLUGIN if kind == "python" else _options(build)
        parts.append(f"### {kind}\n\n{what}\n")
        parts.append(table(["option", "type", "default", "what"], rows) if rows else "It has no options.\n")
    return "\n".join(parts)


#: The options of kind `python` are those of another package.
_PLUGIN = [
    [code("name"), "text", "required", "Name of the entry point in the group `laserve.reward_models`."],
    [
        "any other",
        "as the package says",
        NONE,
        "Arguments of the class or function that the entry point names.",
    ],
]


def _imported(target: str) -> Callable[..., Any]:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]


def _options(build: Callable[..., Any]) -> list[list[str]]:
    what = _arguments(_imported(KINDS["transformers"])) | _arguments(build)
    return [
        [code(name), _type(parameter.annotation), default, _plain(what[name])]
        for name, parameter in inspect.signature(build).parameters.items()
        if name not in _PARTS
        for default in ["required" if parameter.default is parameter.empty else _option(parameter.default)]
    ]


def _arguments(build: Callable[..., Any]) -> dict[str, str]:
    """Argument -> its description in the docstring."""
    return dict(_ARGUMENT.findall((inspect.getdoc(build) or "").partition("Args:")[2]))


def _plain(docstring: str) -> str:
    text = " ".join(docstring.split()).replace("``", "`")
    return text[:1].upper() + text[1:]


def _option(value: Any) -> str:
    if isinstance(value, str) and len(value) > 60:  # a prompt
        return "a built-in text"
    return "empty" if value == "" else _default(value)


def _type(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return " or ".join(_type(one) for one in inner if one is not NoneType)
    if origin is Literal:
        return ", ".join(map(code, inner))
    if inner and issubclass(origin or object, Mapping):
        return "mapping"
    if inner:
        return f"list of {_SCALARS[inner[0]]}"
    return _SCALARS[annotation]
