"""Tables as text: comma-separated values, and those with other separators."""

import csv
from collections.abc import Iterator, Sequence

from laserve.errors import InvalidRequest
from laserve.lab.data.formats.cell import Cell
from laserve.lab.data.formats.json_values import problem_of
from laserve.lab.data.formats.records import Record
from laserve.lab.data.formats.text import BLANK, Text

#: Separator -> name of the format; the first of those with most columns is taken.
_FORMATS = {",": "CSV", "\t": "TSV", ";": "CSV with semicolons", "|": "CSV with vertical bars"}
#: Suffixes of files that may have a single column; other text would be taken for one.
_SUFFIXES = {".csv", ".tsv"}
#: Longest name of a column, and longest first line, in characters.
_NAME, _HEADER = 100, 1 << 14


def open_csv(text: Text) -> tuple[str, Iterator[Record]] | None:
    """Format and records of a table; None if the first line is no line of column names.

    Raises:
        InvalidRequest: two columns have one name.
    """
    header = next((line for line in text.lines() if line.strip(BLANK)), "")
    if not header or len(header) > _HEADER:
        return None
    split = {separator: _names(header, separator) for separator in _FORMATS}
    separator = max(split, key=lambda one: len(split[one]))
    names = split[separator]
    fewest = 1 if _SUFFIXES & set(text.path.suffixes) else 2
    if sum(map(bool, names)) < fewest or not all(map(_is_name, names)):
        return None
    if twice := {name for name in names if name and names.count(name) > 1}:
        raise InvalidRequest(f"{text.path}: names the column {min(twice)} twice")
    return _FORMATS[separator], _records(text, separator, names)


def _names(header: str, separator: str) -> list[str]:
    try:
        return [name.strip(BLANK) for name in next(csv.reader([header], delimiter=separator, strict=True))]
    except (csv.Error, StopIteration):
        return []


def _is_name(name: str) -> bool:
    """Whether a text can name a column; one without a name, such as an index, is left out."""
    return len(name) <= _NAME and all(character.isprintable() for character in name)


def _records(text: Text, separator: str, names: Sequence[str]) -> Iterator[Record]:
    csv.field_size_limit((1 << 31) - 1)  # documents are longer than the 131,072 characters of the default
    rows = csv.reader(text.lines(), delimiter=separator, strict=True)
    header = True
    while True:
        position = f"line {rows.line_num + 1}"
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Record(position=position, values=None, problem=f"is not {_FORMATS[separator]}: {error}")
            continue
        if not "".join(row).strip(BLANK):
            continue
        if not header:
            yield _record(row, names, position)
        header = False


def _record(row: Sequence[str], names: Sequence[str], position: str) -> Record:
    problem = ""
    if len(row) != len(names):
        problem = f"has {len(row)} cells; the first line names {len(names)} columns"
    cells = {name: Cell(cell) for name, cell in zip(names, row, strict=False) if name}
    problem = problem or next(filter(None, (_problem(name, cell) for name, cell in cells.items())), "")
    values = None if problem else {name: cell or None for name, cell in cells.items()}
    return Record(position=position, values=values, problem=problem)


def _problem(name: str, cell: Cell) -> str:
    """What is wrong with a cell; empty if nothing is."""
    if "\0" in cell:
        return "holds zero bytes, so the file is damaged"
    if cell.is_numpy:
        return f"{name}: is a list as NumPy prints it; save the table as JSON lines or parquet"
    return problem_of(cell, name)
