"""Tables of Markdown, and JSON schemas in words."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

NONE = "-"
Schema = Mapping[str, Any]
#: What stands for a schema of this name.
Link = Callable[[str], str]


def _mapping(_name: str) -> str:
    return "mapping"


def cell(text: str) -> str:
    """A text that may stand in a cell."""
    return " ".join(text.split()).replace("|", "\\|") or NONE


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(head), ["---"] * len(head), *([cell(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def code(value: Any) -> str:
    return f"`{value}`"


def number(value: float) -> str:
    """A bound: 64, 0.25, 2^63."""
    if value >= 2**40:
        return f"2^{int(value).bit_length() - 1}"
    return f"{value:g}" if value != int(value) else str(int(value))


def words(schema: Schema, link: Link = _mapping) -> str:
    """The values that a JSON schema allows, null left out.

    Args:
        link: what the name of another schema becomes.
    """
    if "$ref" in schema:
        return link(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(words(one, link) for one in schema["anyOf"] if one.get("type") != "null")
    if values := schema.get("enum", [schema["const"]] if "const" in schema else []):
        return ", ".join(map(code, values))
    return _TYPES[schema.get("type", "")](schema, link)


def _number(schema: Schema, _link: Link) -> str:
    return ", ".join(filter(None, [schema["type"], bounds(schema)]))


def _list(schema: Schema, link: Link) -> str:
    if "prefixItems" in schema:
        return "list of " + " and ".join(words(item, link) for item in schema["prefixItems"])
    inner = words(schema.get("items", {}), link)
    count = _counts(schema, "Items", "entries")
    return f"list of {inner}" + (f"{';' if ',' in inner else ','} {count}" if count else "")


def _text(schema: Schema, _link: Link) -> str:
    if "pattern" in schema:
        return f"text that matches `{schema['pattern']}`"
    kind = {"path": "path", "password": "secret text"}.get(schema.get("format", ""), "text")
    return ", ".join(filter(None, [kind, _counts(schema, "Length", "characters")]))


def _names(schema: Schema, link: Link) -> str:
    inner = schema.get("additionalProperties")
    for patterned in schema.get("patternProperties", {}).values():
        inner = patterned
    return f"mapping of names to {words(inner, link)}" if isinstance(inner, Mapping) and inner else "mapping"


#: Type of a JSON schema -> its values in words; without a type any value is allowed.
_TYPES: Mapping[str, Callable[[Schema, Link], str]] = {
    "integer": _number,
    "number": _number,
    "array": _list,
    "string": _text,
    "object": _names,
    "boolean": lambda _schema, _link: "true or false",
    "": lambda _schema, _link: "any JSON",
}


def bounds(schema: Schema) -> str:
    """`1 to 64`, `above 0, at most 1`, `at least 0`; empty without a bound."""
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{number(low)} to {number(high)}"
    given = {
        "at least": low,
        "above": schema.get("exclusiveMinimum"),
        "at most": high,
        "below": schema.get("exclusiveMaximum"),
    }
    return ", ".join(f"{word} {number(value)}" for word, value in given.items() if value is not None)


def _counts(schema: Schema, what: str, unit: str) -> str:
    """`1 to 64 entries`, `not empty`; empty without a bound."""
    low, high = schema.get(f"min{what}", 0), schema.get(f"max{what}")
    if high is not None:
        return f"{low} to {high} {unit}" if low else f"at most {high} {unit}"
    return {0: "", 1: "not empty"}.get(low, f"at least {low} {unit}")
