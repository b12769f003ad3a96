"""Reading of files of rows, in every format and shape that laserve knows."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from laserve.errors import InvalidRequest
from laserve.lab.data.formats.opening import open_records
from laserve.lab.data.names import check_once, labels, names
from laserve.lab.data.row import Row
from laserve.lab.data.shapes.base import BadRecord, LeftOut, Place, Values
from laserve.lab.data.shapes.known import shape_of

logger = logging.getLogger(__name__)

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
        rows=tuple(reader.rows.values()),
        shapes=dict(reader.shapes),
        left_out=dict(reader.left_out),
        bad=tuple(reader.bad),
    )


class _Reader:
    """Rows of a file, as its records come."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.records = 0
        #: Id -> row.
        self.rows: dict[str, Row] = {}
        self.shapes: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self.bad: list[Bad] = []
        #: Shape and request of a joined row -> its id.
        self._joined: dict[tuple[str, object], str] = {}

    def add(self, position: str, values: Values | None, problem: str) -> None:
        self.records += 1
        if values is None:
            self.bad.append(Bad(position=position, reason=problem))
            return
        try:
            shape = shape_of(values)
            made = shape.rows(values, Place(file=self._file, position=position))
            if isinstance(made, LeftOut):
                self.left_out[made.reason] += 1
            elif shape.joined:
                self._join(shape.name, *made)
            else:
                self._keep(made)
            self.shapes[shape.name] += 1
        except BadRecord as error:
            self.bad.append(Bad(position=position, reason=str(error)))

    def _keep(self, rows: Iterable[Row]) -> None:
        """Add the rows of one record, all or none."""
        made = {row.id: row for row in rows}
        for row in made.values():
            if (before := self.rows.get(row.id)) is not None:
                raise BadRecord("id", f"{row.id!r} came before, at {before.position}")
        self.rows |= made

    def _join(self, shape: str, row: Row) -> None:
        """Add the answers of a row to the row of an equal request, or the row itself."""
        key = (shape, (row.request.prompt, row.request.messages, row.request.question, row.request.documents))
        first = self._joined.get(key)
        if first is None:
            self._keep([row])
            self._joined[key] = row.id
        else:
            whole = self.rows[first]
            self.rows[first] = replace(whole, answers=(*whole.answers, *row.answers))
