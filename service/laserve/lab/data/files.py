"""Reader of files in all known formats, as cases."""

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laserve.errors import InvalidRequest
from laserve.lab.data import longbench, qa, rows, squad, stored
from laserve.lab.data.cases import Case, LeftOut, Location
from laserve.lab.data.questions import json_lines

Row = Mapping[str, Any]

_ERRORS = (KeyError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form of rows, and its reader."""

    #: Columns that identify the form.
    columns: tuple[str, ...]
    #: Content of a row, for error messages.
    expected: str
    read: Callable[[Row, Location], Case | LeftOut]


#: All forms; a row is read by the first form whose columns it has.
FORMS = (
    Form(columns=longbench.COLUMNS, expected=longbench.EXPECTED, read=longbench.read),
    *(Form(columns=columns, expected=rows.EXPECTED, read=stored.read) for columns in stored.COLUMNS),
    Form(columns=qa.COLUMNS, expected=qa.EXPECTED, read=qa.read),
)


@dataclass(frozen=True, kw_only=True)
class Tasks:
    """Content of a file."""

    cases: tuple[Case, ...]
    #: Reason -> number of rows left out for it.
    left_out: Mapping[str, int]


def read_tasks(path: Path) -> Tasks:
    """Cases of a file, ``.gz`` or plain, whose format is identified by its columns.

    JSON lines: questions with documents and answers; LongBench's rows; stored answers: preferences,
    right and wrong answers, or rows of `laserve export`. Or one JSON document: SQuAD, 1.1 or 2.0.

    Raises:
        InvalidRequest: a row has another form, or an id is repeated; the message names file and line.
    """
    cases: dict[str, Case] = {}
    left_out: Counter[str] = Counter()
    document = _document(path)
    read = _lines(path) if document is None else _squad(path, document)
    for position, case in read:
        if isinstance(case, LeftOut):
            left_out[case.reason] += 1
        elif case.id in cases:
            raise InvalidRequest(f"{path}:{position}: the id {case.id!r} came before")
        else:
            cases[case.id] = case
    return Tasks(cases=tuple(cases.values()), left_out=dict(left_out))


def _lines(path: Path) -> Iterator[tuple[str, Case | LeftOut]]:
    for number, row in json_lines(path):
        form = next((form for form in FORMS if all(name in row for name in form.columns)), None)
        if form is None:
            known = "; ".join(dict.fromkeys(form.expected for form in FORMS))
            raise InvalidRequest(f"{path}:{number}: has {', '.join(row) or 'no columns'}; needs {known}")
        try:
            yield str(number), form.read(row, Location(file=_stem(path), row=str(number)))
        except _ERRORS as error:
            raise InvalidRequest(f"{path}:{number}: needs {form.expected}: {error!r}") from error


def _squad(path: Path, document: Row) -> Iterator[tuple[str, Case | LeftOut]]:
    try:
        yield from squad.read(document, _stem(path))
    except _ERRORS as error:
        raise InvalidRequest(f"{path}: needs {squad.EXPECTED}: {error}") from error


def _document(path: Path) -> Row | None:
    """The whole file if it is one JSON document with SQuAD's column, or None."""
    if path.name.removesuffix(".gz").endswith(".jsonl"):
        return None
    try:
        content = path.read_bytes()
        whole = json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)
    except ValueError:  # several documents, or none
        return None
    return whole if isinstance(whole, dict) and "data" in whole else None


def _stem(path: Path) -> str:
    return path.name.split(".", maxsplit=1)[0]
