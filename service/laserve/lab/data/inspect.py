"""``laserve data inspect``: what files are taken for, and which commands can use them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laserve.errors import ConfigError, InvalidRequest
from laserve.lab.data.excerpts import json_of, lines_of
from laserve.lab.data.names import check_once, labels, names
from laserve.lab.data.needs import NEEDS, fitting
from laserve.lab.data.reading import NAMED, RowFile, read_file
from laserve.lab.data.row import Row
from laserve.lab.data.shapes.known import NO_SHAPE, SHAPES, listed
from laserve.lab.output import Table, show, write_json


@dataclass(frozen=True, kw_only=True)
class Use:
    """What a command can do with the rows of a file."""

    #: Number of rows that it can use.
    rows: int
    #: Reason -> number of rows that it cannot use for it.
    refused: Mapping[str, int]


def run(paths: Sequence[Path], *, row: int, out: Path | None, strict: bool) -> bool:
    """Describe files on standard output.

    Args:
        row: number of the row of each file to show, from 1.
        out: where to write the description as JSON.
        strict: whether a record that cannot be read is a failure.

    Returns:
        Whether each file holds a record that can be read, and with `strict` no other.

    Raises:
        ConfigError: a file is given twice, or has rows but not one of this number.
    """
    check_once(paths, option="FILE")
    described: dict[str, Any] = {}
    good = True
    for path, name, label in zip(paths, names(paths), labels(paths), strict=True):
        try:
            file = read_file(path, name, label)
        except InvalidRequest as error:
            show(error.message)
            described[label], good = {"error": error.message}, False
            continue
        if file.rows and row > len(file.rows):
            raise ConfigError.at("--row", f"{path} has {len(file.rows)} rows")
        shown = file.rows[row - 1] if file.rows else None
        show(*_tables(file, shown, row))
        described[label] = _json(file, shown)
        good &= bool(file.rows or file.left_out) and not (strict and file.bad)
    if out:
        write_json(out, described)
    return good


def uses(rows: Sequence[Row]) -> dict[str, Use]:
    """Command with its option -> what it can do with rows."""
    made = {}
    for command, need in NEEDS.items():
        fit, reasons = fitting(rows, need)
        made[command] = Use(rows=len(fit), refused=reasons)
    return made


def _tables(file: RowFile, row: Row | None, number: int) -> Iterator[Table]:
    """Description of a file: its records, a row, and the commands that can use it."""
    yield Table(title=str(file.path), columns=("", ""), rows=list(_facts(file)), texts=True)
    if row is not None:
        title = f"Row {number} of {len(file.rows)}, from {row.position}"
        yield Table(title=title, columns=("", ""), rows=list(lines_of(row)), texts=True)
        yield _of_commands(file.rows)
    elif any(one.reason.endswith(NO_SHAPE) for one in file.bad):
        known = [(shape.name, shape.expected) for shape in SHAPES]
        yield Table(title="Known shapes", columns=("shape", "columns"), rows=known, texts=True)


def _facts(file: RowFile) -> Iterator[tuple[str, str]]:
    yield "format", file.format
    yield "records", f"{file.records:,}" if file.records else "none"
    for shape, count in file.shapes.items():
        yield "taken for", f"{shape} ({_counted(count, 'record')})"
    for reason, count in file.left_out.items():
        yield "left out", f"{reason} ({_counted(count, 'record')})"
    if file.unread:
        yield "not read", listed(file.unread)
    if file.bad:
        yield "cannot be read", _counted(len(file.bad), "record")
        yield from (("", f"{one.position}: {one.reason}") for one in file.bad[:NAMED])
        if len(file.bad) > NAMED:
            yield "", f".. and {len(file.bad) - NAMED:,} more"
    yield "rows", f"{len(file.rows):,}"


def _of_commands(rows: Sequence[Row]) -> Table:
    return Table(
        title="Commands",
        columns=("command", "rows", "what the other rows lack"),
        rows=[
            (
                command,
                f"{use.rows:,}",
                "; ".join(f"{reason} ({_counted(count, 'row')})" for reason, count in use.refused.items()),
            )
            for command, use in uses(rows).items()
        ],
        texts=True,
    )


def _counted(count: int, name: str) -> str:
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"


def _json(file: RowFile, row: Row | None) -> dict[str, Any]:
    return {
        "format": file.format,
        "records": file.records,
        "shapes": dict(file.shapes),
        "left_out": dict(file.left_out),
        "unread": dict(file.unread),
        "bad": len(file.bad),
        "problems": [{"position": one.position, "reason": one.reason} for one in file.bad[:NAMED]],
        "rows": len(file.rows),
        "row": None if row is None else json_of(row),
        "commands": {
            command: {"rows": use.rows, "refused": dict(use.refused)}
            for command, use in uses(file.rows).items()
        },
    }
