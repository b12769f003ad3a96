"""The base of every section of the settings, and the types of values that sections share."""

import math
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from laserve.config.secrets import is_secret, public

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
#: Names and indices that lead to a setting.
Steps = tuple[str | int, ...]


def dotted(steps: Steps) -> str:
    """Name of a setting, such as ``arms.0.kind``."""
    return ".".join(map(str, steps))


class Plain(str):
    """An unquoted value of a YAML file: the text as written, and the value that YAML reads in it."""

    __slots__ = ("value",)
    value: Any

    @classmethod
    def of(cls, text: str, value: Any) -> Self:
        plain = cls(text)
        plain.value = value
        return plain


class NotFinite(ValueError):
    """A number in a mapping is infinite or not a number; `path` leads to it from the mapping."""

    def __init__(self, path: Steps) -> None:
        super().__init__("write a finite number; a text goes in quotes")
        self.path = path


def _finite(value: Any, path: Steps = ()) -> Any:
    """The value itself; raises NotFinite for the first number at any depth that is not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        raise NotFinite(path)
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _finite(inner, (*path, str(name)))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            _finite(inner, (*path, index))
    return value


#: Options of another package or of a kind, which checks them itself.
Options = Annotated[dict[str, Any], AfterValidator(_finite)]


class Section(BaseModel):
    """A group of settings; unknown names are refused, and its text shows no secret."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _typed(cls, given: Any) -> Any:
        """Each value in the type of its setting; empty sections, lists and mappings are unset."""
        if not isinstance(given, Mapping):
            return given
        fields: dict[str, Any] = {
            name: cls.model_fields[name].annotation for name in given if name in cls.model_fields
        }
        return {
            name: _as_leaf(value, _leaf(fields[name])) if name in fields else value
            for name, value in given.items()
            if not (value is None and name in fields and _holds_others(fields[name]))
        }

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, public(value)


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)


@cache
def _leaf(annotation: Any) -> Any:
    """The type of the innermost values of a setting: ``int`` for ``tuple[int, ...] | None``."""
    inner = get_args(annotation)
    if not inner or get_origin(annotation) is Literal:
        return annotation
    return _leaf(inner[-1 if get_origin(annotation) is dict else 0])


@cache
def _holds_others(annotation: Any) -> bool:
    """Whether the values of a setting are sections, lists or mappings."""
    if _is_section(annotation):
        return True
    return get_origin(annotation) in (dict, tuple) or any(map(_holds_others, get_args(annotation)[:1]))


def _as_leaf(value: Any, leaf: Any) -> Any:
    """A value at any depth in the type of the setting's innermost values."""
    if _is_section(leaf):
        return value
    if isinstance(value, Mapping):
        return {
            name: str(inner) if isinstance(inner, Plain) and is_secret(str(name)) else _as_leaf(inner, leaf)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_as_leaf(inner, leaf) for inner in value]
    return _as_scalar(value, leaf)


def _as_scalar(value: Any, leaf: Any) -> Any:
    """A value that is no mapping and no list in the type of its setting.

    YAML reads `on` as true and `1.10` as 1.1; a text is taken as written. A number is neither true nor
    false, which Python counts as 1 and 0. An empty text is as good as none: as a path it would be the current
    folder, as a host all addresses.
    """
    read = value.value if isinstance(value, Plain) else value
    if leaf is Any:
        return read
    if read == "":
        return None
    if leaf in (int, float):
        return Plain.of(str(value).lower(), read) if isinstance(read, bool) else read
    if isinstance(read, bool) and {"on", "off"} <= {*get_args(leaf)}:
        return "on" if read else "off"
    return str(value) if isinstance(value, Plain) else value
