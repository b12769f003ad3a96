"""Reading of files of rows, in every format and shape that laserve knows."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from laserve.errors import InvalidRequest
from laserve.lab.data.formats.opening import open_records
from laserve.lab.data.names import check_once, labels, names
from laserve.lab.data.row import Answer, Row
from laserve.lab.data.shapes.base import BadRecord, LeftOut, Location, Values
from laserve.lab.data.shapes.known import listed, shape_of

logger = logging.getLogger(__name__)

#: Reason of a record that holds the id and all else of one before it.
REPEATED = "repeats an earlier record, with its id"
#: Bad records that a message names; the others are counted.
NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Bad:
    """A record that cannot be read."""

    position: str
    #: Column, and what was expected of it.
    reason: str


@dataclass(frozen=True, kw_only=True)
class RowFile:
    """Content of a file."""

    path: Path
    #: Name of the file, unique among the files of one command.
    name: str
    #: The name with its suffixes, for the keys of figures; unique as well.
    label: str
    #: Format in words.
    format: str
    #: Number of records, the bad ones included.
    records: int
    rows: tuple[Row, ...]
    #: Name of a shape -> number of records that have it.
    shapes: Mapping[str, int]
    #: Reason -> number of well-formed records left out for it.
    left_out: Mapping[str, int]
    bad: tuple[Bad, ...]
    #: Column -> number of records whose reader passes over it, for shapes that any record may have.
    unread: Mapping[str, int]

    @property
    def problems(self) -> str:
        """The bad records in words: their count, and the first `NAMED` of them, a line each."""
        lines = [f"{self.path}: {len(self.bad)} of {self.records} records cannot be read"]
        lines += [f"  {one.position}: {one.reason}" for one in self.bad[:NAMED]]
        if len(self.bad) > NAMED:
            lines.append(f"  and {len(self.bad) - NAMED} more")
        return "\n".join(lines)


def read(paths: Sequence[Path], *, strict: bool = False, option: str = "--data") -> list[RowFile]:
    """The rows of files; a warning names and counts the bad records of each.

    Args:
        strict: whether a bad record is an error.
        option: name of the option that gave the files, for errors.

    Raises:
        ConfigError: a file is given twice.
        InvalidRequest: a file cannot be read, or holds no good record, or holds a bad one and `strict` is
            set; the message names file, position and column.
    """
    check_once(paths, option=option)
    files = []
    for path, name, label in zip(paths, names(paths), labels(paths), strict=True):
        file = read_file(path, name, label)
        if file.bad and (strict or not (file.rows or file.left_out)):
            raise InvalidRequest(file.problems)
        if not file.records:
            raise InvalidRequest(f"{path}: holds no records")
        if file.bad:
            logger.warning("%s; they are left out", file.problems)
        if file.unread:
            logger.warning("%s: not read: %s", path, listed(file.unread))
        files.append(file)
    return files


def read_file(path: Path, name: str, label: str) -> RowFile:
    """Content of one file, whatever its bad records.

    Args:
        name: the file's name for its rows.
        label: the file's name for the keys of figures.

    Raises:
        InvalidRequest: the file cannot be read, or its format is unknown.
    """
    opened = open_records(path)
    reader = _Reader(name)
    for record in opened.records:
        reader.add(record.position, record.values, record.problem)
    return RowFile(
        path=path,
        name=name,
        label=label,
        format=opened.format,
        records=reader.records,
        rows=reader.whole(),
        shapes=dict(reader.shapes),
        left_out=dict(reader.left_out),
        bad=tuple(reader.bad),
        unread=dict(reader.unread),
    )


class _Reader:
    """Rows of a file, as its records come."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.records = 0
        self.shapes: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self.unread: Counter[str] = Counter()
        self.bad: list[Bad] = []
        #: Id -> row.
        self._rows: dict[str, Row] = {}
        #: Id of several records -> contents of its rows.
        self._repeated: dict[str, set[object]] = {}
        #: Shape and request of a joined row -> its id.
        self._joined: dict[object, str] = {}
        #: Id of a joined row -> the answers of all its records.
        self._answers: dict[str, list[Answer]] = {}

    def whole(self) -> tuple[Row, ...]:
        """The rows, with the answers of all their records."""
        return tuple(
            replace(row, answers=tuple(self._answers[row.id])) if row.id in self._answers else row
            for row in self._rows.values()
        )

    def add(self, position: str, values: Values | None, problem: str) -> None:
        self.records += 1
        if values is None:
            self.bad.append(Bad(position=position, reason=problem))
            return
        try:
            shape = shape_of(values)
            made = shape.rows(values, Location(file=self._file, position=position))
        except BadRecord as error:
            self.bad.append(Bad(position=position, reason=str(error)))
            return
        self.shapes[shape.name] += 1
        if isinstance(made, LeftOut):
            self.left_out[made.reason] += 1
            return
        self.unread.update(shape.unread(values))
        if shape.joined:
            self._join(shape.name, *made)
        elif not [kept for row in made if (kept := self._keep(row))]:
            self.left_out[REPEATED] += 1

    def _keep(self, row: Row) -> str | None:
        """Add a row; its id, or None if an earlier row has the same id and content.

        Many data sets number the records of each of their parts, or give the id of a request to each pair of
        answers to it: another row of the same id has the id with ``#2``, and so on.
        """
        id_ = row.id
        if (first := self._rows.get(id_)) is not None:
            contents = self._repeated.setdefault(id_, {_content(first)})
            if _content(row) in contents:
                return None
            contents.add(_content(row))
            count = len(contents)
            while (id_ := f"{row.id}#{count}") in self._rows:
                count += 1
            row = replace(row, id=id_)
        self._rows[id_] = row
        return id_

    def _join(self, shape: str, row: Row) -> None:
        """Add the answers of a row to the row of an equal request, or the row itself."""
        key = shape, _request(row)
        if key not in self._joined:
            self._joined[key] = id_ = self._keep(row) or row.id
            self._answers[id_] = []
        self._answers[self._joined[key]] += row.answers


def _request(row: Row) -> tuple[object, ...]:
    return row.request.prompt, row.request.messages, row.request.question, row.request.documents


def _content(row: Row) -> object:
    """What two rows of one record share, whatever their positions."""
    labels = row.source, row.task, row.domains, row.metric, row.gold
    return _request(row), row.answers, row.references, row.classes, labels
