"""Records of a file that is one JSON object."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from laserve.errors import InvalidRequest
from laserve.lab.data.formats.json_values import Parser, problem_of
from laserve.lab.data.formats.records import Record

#: Names under which an object holds its records.
_LISTS = ("data", "rows", "examples", "train", "validation", "valid", "val", "dev", "test", "eval")


def records_of(value: object, parser: Parser, path: Path) -> Iterator[Record] | None:
    """The records that a JSON object holds; None if it is a record itself.

    These are the questions of a SQuAD document; the entries of a list of objects named data, rows, examples
    or by a split, each without the wrapping of the datasets server; and the rows of an object of columns.

    Raises:
        InvalidRequest: the object holds several lists of records, or its lists are not equally long.
    """
    if not isinstance(value, dict):
        return None
    lists = [name for name in _LISTS if _holds_objects(value.get(name))]
    if len(lists) > 1:
        raise InvalidRequest(f"{path}: holds the lists {' and '.join(lists)}; save each as a file")
    if lists:
        name = lists[0]
        if any(isinstance(one, dict) and "paragraphs" in one for one in value[name]):
            return _questions(value[name], name, parser)
        return (parser.record(f"{name}[{index}]", _unwrapped(one)) for index, one in enumerate(value[name]))
    if (columns := _columns(value, path)) is not None:
        return _rows(columns, parser)
    return None


def _holds_objects(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(one, dict) for one in value)


def _unwrapped(value: Any) -> object:
    """The row of ``{row_idx, row}``, as the datasets server writes it; another value itself."""
    wrapped = isinstance(value, dict) and "row_idx" in value and isinstance(value.get("row"), dict)
    return value["row"] if wrapped else value


def _columns(value: Mapping[str, Any], path: Path) -> Mapping[str, list[Any]] | None:
    """The columns of an object that has one list, or one object of numbered entries, for each column.

    A record whose columns all are lists of messages is no table: its conversations are columns as well.
    """
    listed = {name: _listed(column) for name, column in value.items()}
    columns = {name: column for name, column in listed.items() if column is not None}
    if not columns or len(columns) < len(value) or any(map(_holds_messages, columns.values())):
        return None
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        given = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InvalidRequest(f"{path}: is an object of columns, which must be equally long: {given}")
    return columns


def _listed(column: object) -> list[Any] | None:
    if isinstance(column, dict) and column and all(name.isdecimal() for name in column):
        return list(column.values())
    return column if isinstance(column, list) else None


def _holds_messages(column: list[Any]) -> bool:
    return any(isinstance(one, dict) and ("role" in one or "from" in one) for one in column)


def _rows(columns: Mapping[str, list[Any]], parser: Parser) -> Iterator[Record]:
    for number, row in enumerate(zip(*columns.values(), strict=True), start=1):
        yield parser.record(f"record {number}", dict(zip(columns, row, strict=True)))


def _questions(articles: list[Any], name: str, parser: Parser) -> Iterator[Record]:
    """A record for each question of a SQuAD document, 1.1 or 2.0 (Rajpurkar et al., 2016 and 2018)."""
    for article, at in _parts({name: articles}, name, ""):
        if not isinstance(article, dict) or not isinstance(article.get("paragraphs"), list):
            yield _bad(at, "paragraphs: must be a list", article)
            continue
        for paragraph, inside in _parts(article, "paragraphs", f"{at}."):
            if not isinstance(paragraph, dict) or not isinstance(paragraph.get("qas"), list):
                yield _bad(inside, "qas: must be a list", paragraph)
                continue
            shared = {"title": article.get("title"), "context": paragraph.get("context")}
            for question, position in _parts(paragraph, "qas", f"{inside}."):
                joined = {**shared, **question} if isinstance(question, dict) else question
                yield parser.record(position, joined)


def _parts(holder: Mapping[str, Any], name: str, before: str) -> Iterator[tuple[Any, str]]:
    for index, one in enumerate(holder[name]):
        yield one, f"{before}{name}[{index}]"


def _bad(position: str, problem: str, value: object) -> Record:
    return Record(position=position, values=None, problem=problem_of(value) or problem)
