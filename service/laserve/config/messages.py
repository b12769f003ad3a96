"""Sentences about refused settings: what to write, by the JSON schema of the settings."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from laserve.config.section import NotFinite, Plain, Steps

Schema = Mapping[str, Any]

#: pydantic's step for a name of a mapping itself.
_KEY = "[key]"
_NAME = "a name of letters, digits, '.', '_' and '-' (at most 64, the first a letter or a digit)"
_NOUNS = {
    "integer": "a number",
    "number": "a number",
    "string": "a text",
    "array": "a list",
    "object": "a mapping",
}
#: Most names of a mapping that a sentence shows.
_SHOWN = 3


def problems(error: ValidationError, schema: Schema) -> Iterator[tuple[Steps, str]]:
    """The steps to each refused value, and the sentence about it.

    Args:
        schema: JSON schema of the whole value, which may refer to itself.
    """
    details = error.errors(include_url=False)
    for detail in details:
        steps: Steps = detail["loc"]
        if any(each["loc"][: len(steps)] == steps != each["loc"] for each in details):
            continue  # a deeper entry has the reason
        kind, cause = detail["type"], detail.get("ctx", {}).get("error")
        if isinstance(cause, NotFinite):
            yield (*steps, *cause.path), str(cause)
        elif kind == "value_error":  # raised by a validator of laserve
            yield steps, str(cause)
        elif kind == "extra_forbidden":
            yield steps, unknown(steps, schema)
        elif steps[-1:] == (_KEY,):  # without the name, which is a secret where the two sides are swapped
            yield steps[:-2], f"write before each colon {_NAME}"
        elif kind == "missing" and isinstance(steps[-1], int):  # the list is too short
            yield steps[:-1], f"write {_expected(_at(steps[:-1], schema), schema)}"
        elif kind == "missing":
            yield steps, f"is missing; write {_expected(_at(steps, schema), schema)}"
        else:
            wrong_type = kind.endswith(("_type", "_parsing", "literal_error"))
            yield steps, _instead(_at(steps, schema), schema, detail["input"], wrong_type=wrong_type)


def unknown(steps: Steps, schema: Schema) -> str:
    """The sentence about a setting that does not exist, with the nearest names of those that do."""
    section = "".join(f"{step}." for step in steps[:-1])
    beside = _at(steps[:-1], schema).get("properties", {})
    near = [name for name in names(schema) if name.rpartition(".")[2] == steps[-1]]
    near = near or [section + name for name in get_close_matches(str(steps[-1]), beside)]
    return "no such setting" + (f"; did you mean {' or '.join(near[:_SHOWN])}?" if near else "")


def names(schema: Schema) -> list[str]:
    """Names of all settings with their sections, such as ``server.port``, but not those of list items."""
    dotted = []
    for name, node in schema.get("properties", {}).items():
        inner = names({**_resolved(node, schema), "$defs": schema.get("$defs", {})})
        dotted += [f"{name}.{each}" for each in inner] or [name]
    return dotted


def _resolved(node: Schema, root: Schema) -> Schema:
    """The schema behind a reference, or of the values of a setting that may also be empty."""
    if "$ref" in node:
        return _resolved(root["$defs"][node["$ref"].rpartition("/")[2]], root)
    if "anyOf" in node:
        return _resolved(next(each for each in node["anyOf"] if each.get("type") != "null"), root)
    return node


def _at(steps: Steps, root: Schema) -> Schema:
    """The schema of a value; empty where the settings say nothing about it."""
    node = _resolved(root, root)
    for step in steps:
        if isinstance(step, int):
            inner = node.get("prefixItems", [])[step : step + 1] or [node.get("items", {})]
        else:
            others = node.get("additionalProperties")
            inner = [node.get("properties", {}).get(step), *node.get("patternProperties", {}).values()]
            inner += [others] if isinstance(others, Mapping) else []
        node = _resolved(next(filter(None, inner), {}), root)
    return node


def _instead(node: Schema, root: Schema, given: Any, *, wrong_type: bool) -> str:
    expected, noun = _expected(node, root), _noun(given)
    if given is None:
        return f"is empty; write {expected}"
    if not wrong_type or noun == _NOUNS.get(node.get("type", "string")):
        return f"write {expected}"
    quoted = " in quotes" if node.get("type") == "string" and noun in ("a number", "true or false") else ""
    return f"write {expected}{quoted}, not {noun}"


def _noun(given: Any) -> str:
    match given.value if isinstance(given, Plain) else given:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case Mapping():
            return "a mapping"
        case list() | tuple():
            return "a list"
    return "a text"


def _expected(node: Schema, root: Schema) -> str:
    """What to write for a value, such as ``a whole number from 0 to 65535``."""
    expected = "a text"
    match node:
        case {"enum": values}:
            expected = f"one of: {', '.join(map(str, values))}"
        case {"type": "integer"}:
            expected = f"a whole number{_bounds(node)}"
        case {"type": "number"}:
            expected = f"a finite number{_bounds(node)}"
        case {"prefixItems": items}:
            expected = f"a list of {len(items)} numbers"
        case {"type": "array", "items": item}:
            expected = _list(_resolved(item, root), at_least=node.get("minItems", 0))
        case {"properties": settings}:
            expected = f"a mapping of settings ({_shown(settings)})"
        case {"type": "object"}:
            expected = "a mapping (name: ..)"
        case {"pattern": _}:
            expected = _NAME
        case {"format": "path"}:
            expected = "a path"
    return expected


def _list(item: Schema, *, at_least: int) -> str:
    first = "one or more " if at_least else ""
    match item:
        case {"properties": settings}:
            return f"a list of {first}mappings ([{{{_shown(settings)}}}])"
        case {"format": "path"}:
            return f"a list of {first}paths ([.., ..])"
        case {"pattern": _}:
            return f"a list of {first}names ([.., ..])"
    return f"a list of {first}texts ([.., ..])"


def _shown(settings: Mapping[str, Any]) -> str:
    more = ", .." if len(settings) > _SHOWN else ""
    return ", ".join(f"{name}: .." for name in [*settings][:_SHOWN]) + more


def _bounds(node: Schema) -> str:
    low, above, high = (node.get(bound) for bound in ("minimum", "exclusiveMinimum", "maximum"))
    if above is not None:
        return f" above {above:.12g}" + (f" and at most {high:.12g}" if high is not None else "")
    if low is not None:
        return f" of at least {low:.12g}" if high is None else f" from {low:.12g} to {high:.12g}"
    return ""
