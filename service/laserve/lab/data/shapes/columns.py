"""Readers of single columns, whose errors name the column and what was expected."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from laserve.lab.data.formats.cell import Cell
from laserve.lab.data.shapes.base import BadRecord, Values

#: JSON's names of Python's types.
_KINDS = {
    "NoneType": "null",
    "bool": "true or false",
    "int": "a number",
    "float": "a number",
    "str": "a text",
    "Cell": "a text",
    "list": "a list",
    "dict": "an object",
}

_TRUTHS = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}


def kind(value: object) -> str:
    """What a value is, in JSON's words: ``a text``."""
    return _KINDS.get(type(value).__name__, type(value).__name__)


def required(values: Values, column: str) -> Any:
    """The value of a column. Raises BadRecord if it is missing or null."""
    if values.get(column) is None:
        raise BadRecord(column, "is missing" if column not in values else "is null")
    return values[column]


def text(values: Values, column: str) -> str:
    """A text. Raises BadRecord."""
    value = required(values, column)
    if not isinstance(value, str):
        raise BadRecord(column, f"must be a text, is {kind(value)}")
    return str(value)


def name(values: Values, column: str) -> str | None:
    """An optional text; None where it is missing, null or empty. Raises BadRecord."""
    return text(values, column) or None if values.get(column) is not None else None


def optional(values: Values, column: str) -> tuple[str, ...]:
    """An optional text as a tuple, empty where `name` gives None. Raises BadRecord."""
    given = name(values, column)
    return (given,) if given else ()


def texts(values: Values, column: str) -> tuple[str, ...]:
    """A list of one text or more. Raises BadRecord."""
    value = decoded(required(values, column))
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise BadRecord(column, f"must be a list of texts, is {kind(value)}")
    if not value:
        raise BadRecord(column, "is empty")
    for index, one in enumerate(value):
        if not isinstance(one, str):
            raise BadRecord(f"{column}[{index}]", f"must be a text, is {kind(one)}")
    return tuple(value)


def number(values: Values, column: str, *, low: float, high: float) -> float:
    """A finite number within bounds, both included. Raises BadRecord."""
    value = plain(required(values, column))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRecord(column, f"must be a number from {low:g} to {high:g}, is {kind(value)}")
    if not low <= value <= high or not -sys.float_info.max <= value <= sys.float_info.max:
        raise BadRecord(column, f"must be a number from {low:g} to {high:g}, is {shown(value)}")
    return float(value)


def plain(value: object) -> Any:
    """The value; a number or a truth value if it is a cell with one."""
    return value.plain() if isinstance(value, Cell) else value


def shown(value: object) -> str:
    """A value for a message: a number, of 40 characters at most, or the kind of any other value."""
    return str(value)[:40] if type(value) in (int, float) else kind(value)


def truth(values: Values, column: str) -> bool:
    """True or false, or 1 or 0, also as a text. Raises BadRecord."""
    value = required(values, column)
    if isinstance(value, str):
        value = _TRUTHS.get(value.strip().lower(), value)
    if not isinstance(value, bool | int | float) or value not in (0, 1):
        raise BadRecord(column, f"must be true, false, 1 or 0, is {shown(value)}")
    return bool(value)


def flag(values: Values, column: str) -> bool:
    """Whether an optional column is true; a value of another form says nothing."""
    try:
        return truth(values, column)
    except BadRecord:
        return False


def decoded(value: object) -> object:
    """The value, decoded if it is a JSON text of a list or an object; some files keep conversations so.

    A cell is decoded as well if it is a list or an object as Python writes it.
    """
    if isinstance(value, Cell):
        return value if (content := value.listed()) is None else content
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            content = json.loads(value)
        except (ValueError, RecursionError):  # RecursionError: a text of many brackets
            return value
        if isinstance(content, list | dict):
            return content
    return value
