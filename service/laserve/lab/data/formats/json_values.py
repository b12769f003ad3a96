"""JSON values as records, with what is wrong inside them."""

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from laserve.lab.data.formats.records import Record
from laserve.lab.data.formats.text import BLANK, SURROGATE

#: Lists and objects inside each other; deeper ones are refused.
_DEPTH = 64
#: Digits of the longest number.
_DIGITS = 300
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
#: Characters of a name in a message.
_SHOWN = 40


@dataclass(frozen=True)
class Wrong:
    """A value, in its stead, that JSON does not allow, or that cannot be kept."""

    reason: str


class Parser:
    """Parser of the JSON values in a text; a value that breaks a rule becomes `Wrong`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._suspicious = _is_suspicious(text)
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_constant=self._constant,
            parse_int=self._integer,
            parse_float=self._float,
        )

    def value(self, start: int) -> tuple[Any, int]:
        """The value that starts at an index, and the index behind it.

        Raises:
            json.JSONDecodeError: there is none, or it is broken.
        """
        try:
            return self._decoder.raw_decode(self._text, start)
        except RecursionError:
            raise json.JSONDecodeError(
                "too many lists and objects in each other", self._text, start
            ) from None

    def skip(self, start: int) -> int:
        """Index of the first character from an index that is not blank."""
        while start < len(self._text) and self._text[start] in BLANK:
            start += 1
        return start

    def is_at(self, symbol: str, at: int) -> bool:
        """Whether a character is at an index."""
        return self._text.startswith(symbol, at)

    def after_entry(self, at: int) -> tuple[int, bool]:
        """Index of what follows the entry of a list that ends at an index, and whether it is an entry.

        Raises:
            json.JSONDecodeError: neither a comma nor the end of the list follows.
        """
        at = self.skip(at)
        if self.is_at("]", at):
            return at, False
        if not self.is_at(",", at):
            raise json.JSONDecodeError("Expecting ',' or ']'", self._text, at)
        return self.skip(at + 1), True

    def check_end(self, at: int) -> None:
        """Raise json.JSONDecodeError if more than blanks follow an index."""
        at = self.skip(at)
        if at < len(self._text):
            raise json.JSONDecodeError("Extra data", self._text, at)

    def record(self, position: str, value: object) -> Record:
        """A value of the text as a record, bad if it is no object, or holds something wrong."""
        problem = problem_of(value) if self._suspicious else ""
        if not problem and not isinstance(value, dict):
            problem = "is JSON, but must be an object"
        if problem:
            return Record(position=position, values=None, problem=problem)
        return Record(position=position, values=value)  # type: ignore[arg-type]

    def _wrong(self, reason: str) -> Wrong:
        self._suspicious = True
        return Wrong(reason)

    def _object(self, pairs: list[tuple[str, Any]]) -> object:
        made = dict(pairs)
        if len(made) == len(pairs):
            return made
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        return self._wrong(f"has the name {shown(twice)} twice")

    def _constant(self, name: str) -> Wrong:
        return self._wrong(f"is {name}, which JSON does not know")

    def _integer(self, digits: str) -> object:
        return int(digits) if len(digits) <= _DIGITS else self._wrong("is too large a number")

    def _float(self, digits: str) -> object:
        number = float(digits)
        return number if math.isfinite(number) else self._wrong("is too large a number")


def _is_suspicious(text: str) -> bool:
    """Whether a value of the text may hold a lone surrogate, or be nested too deeply."""
    return (
        text.count("[") + text.count("{") > _DEPTH
        or ("\\u" in text and _ESCAPED_SURROGATE.search(text) is not None)
        or (not text.isascii() and SURROGATE.search(text) is not None)
    )


def problem_of(value: object, path: str = "", depth: int = 0) -> str:
    """What is wrong inside a value, with its path; empty if nothing is."""
    reason = ""
    if isinstance(value, Wrong):
        reason = value.reason
    elif depth > _DEPTH:
        path, reason = path[:_SHOWN], f"has more than {_DEPTH} lists and objects in each other"
    elif isinstance(value, str):
        reason = _surrogate(value)
    elif isinstance(value, dict):
        for name, inner in value.items():
            reason = _surrogate(name)
            at = f"{path}.{name}" if path else name
            if problem := reason or problem_of(inner, at, depth + 1):
                return problem
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if problem := problem_of(inner, f"{path}[{index}]", depth + 1):
                return problem
    return f"{path}: {reason}" if path and reason else reason


def _surrogate(text: str) -> str:
    match = SURROGATE.search(text)
    if match is None:
        return ""
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:
        return f"holds the byte 0x{code - 0xDC00:02X}, which is none of the file's encoding"
    return f"holds half a character, \\u{code:04x}"


def reason_of(error: json.JSONDecodeError) -> str:
    """What the error expected."""
    return error.msg.removesuffix(" at")


def shown(text: str) -> str:
    """A text for a message, cut."""
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 2] + "..")
