"""Texts in JSON: one object a line, one list of objects, or one object that holds them."""

import json
from collections.abc import Iterator
from itertools import islice

from laserve.errors import InvalidRequest
from laserve.lab.data.formats.json_object import records_of
from laserve.lab.data.formats.json_values import Parser, reason_of
from laserve.lab.data.formats.records import Record
from laserve.lab.data.formats.text import BLANK, Text

LINES, LIST, OBJECT, OBJECTS = "JSON lines", "a JSON list", "a JSON object", "JSON objects"


def open_json(text: Text) -> tuple[str, Iterator[Record]] | None:
    """Form and records of a text in JSON; None if it is not JSON.

    The first lines with content decide between lines and one document, whatever the suffix.

    Raises:
        InvalidRequest: the text is one object, but broken; the iteration of a list raises it too.
    """
    first, second, third = _first_lines(text)
    if _is_lines(first, second, third):
        return LINES, json_lines(text)
    if first.startswith("["):
        return LIST, _list(text)
    return _objects(text) if first.startswith("{") else None


def _is_lines(first: str, second: str, third: str) -> bool:
    """Whether a text with these first lines with content, empty where there are fewer, is JSON lines."""
    match first[:1]:
        case "[":
            return bool(second) and first.endswith("]") and _is_whole(first)
        case "{" if not second:
            return not _is_whole(first)
        case "{" if not (_is_whole_object(second) and third[:1] in ("", "{")):
            return not _is_open(first)
        case "{":  # no object goes on with two objects
            return True
        case _:
            return _is_whole_object(second)


def json_lines(text: Text) -> Iterator[Record]:
    """A record for each line with content; blank lines count as lines alone."""
    for number, line in enumerate(text.lines(), start=1):
        content = line.strip(BLANK)
        if content:
            yield _line(content, f"line {number}")


def _line(content: str, position: str) -> Record:
    parser = Parser(content)
    try:
        value, end = parser.value(0)
        parser.check_end(end)
    except json.JSONDecodeError as error:
        return Record(position=position, values=None, problem=_explained(content, error))
    return parser.record(position, value)


def _explained(content: str, error: json.JSONDecodeError) -> str:
    """What is wrong with a line that is not JSON."""
    rest = content[error.pos :].strip(BLANK)
    if "\0" in content:
        return "holds zero bytes, so the file is damaged"
    if error.msg == "Extra data" and rest == ",":
        return "ends with a comma, which JSON lines do not have"
    if error.msg == "Extra data" and rest.startswith(("{", "[")):
        return "holds several JSON values; each must have its own line"
    if content[1:].lstrip().startswith("'"):
        return "is an object of Python, not JSON: names and texts need double quotes"
    return f"is not JSON: {reason_of(error)} at character {error.pos + 1}"


def _list(text: Text) -> Iterator[Record]:
    parser = Parser(text.whole())
    number = 0
    try:
        at = parser.skip(parser.skip(0) + 1)
        more = not parser.is_at("]", at)
        while more:
            number += 1
            value, at = parser.value(at)
            yield parser.record(f"record {number}", value)
            at, more = parser.after_entry(at)
        parser.check_end(at + 1)
    except json.JSONDecodeError as error:
        raise _broken(text, error, f"record {number}: ") from error


def _objects(text: Text) -> tuple[str, Iterator[Record]]:
    """Form and records of one object, or of several that follow each other over several lines."""
    content = text.whole()
    parser = Parser(content)
    values = []
    at = parser.skip(0)
    try:
        while at < len(content):
            value, at = parser.value(at)
            values.append(value)
            at = parser.skip(at)
    except json.JSONDecodeError as error:
        raise _broken(text, error, "") from error
    if len(values) == 1 and (records := records_of(values[0], parser, text.path)) is not None:
        return OBJECT, records
    if "\n" not in content.strip(BLANK):
        return LINES, json_lines(text)
    return OBJECTS, (parser.record(f"record {number}", value) for number, value in enumerate(values, start=1))


def _broken(text: Text, error: json.JSONDecodeError, record: str) -> InvalidRequest:
    cut = ", where the file ends" if error.pos >= len(error.doc.rstrip(BLANK)) else ""
    at = f"at line {error.lineno}, column {error.colno}{cut}"
    return InvalidRequest(f"{text.path}: {record}is not JSON: {reason_of(error)} {at}")


def _first_lines(text: Text) -> tuple[str, str, str]:
    """The first three lines with content, without the blanks around it; empty where there are fewer."""
    with_content = (content for line in text.lines() if (content := line.strip(BLANK)))
    first = [*islice(with_content, 3), "", "", ""]
    return first[0], first[1], first[2]


def _is_whole(content: str) -> bool:
    """Whether a line is one JSON value."""
    try:
        return Parser(content).value(0)[1] == len(content)
    except json.JSONDecodeError:
        return False


def _is_whole_object(content: str) -> bool:
    return content.startswith("{") and _is_whole(content)


def _is_open(content: str) -> bool:
    """Whether a line is the start of a JSON value that the next lines go on with."""
    try:
        Parser(content).value(0)
    except json.JSONDecodeError as error:
        return error.pos >= len(content)
    return False
