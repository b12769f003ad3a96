"""Rows of parquet files."""

import math
from collections.abc import Iterator
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from laserve.errors import InvalidRequest
from laserve.lab.data.formats.json_values import problem_of
from laserve.lab.data.formats.records import Record

#: First bytes of a file.
MAGIC = b"PAR1"
_BATCH = 256


def parquet_records(path: Path) -> Iterator[Record]:
    """A record for each row; the file is read in batches.

    Raises:
        InvalidRequest: pyarrow is missing, or, also while the rows are read, the file is cut or damaged.
    """
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise InvalidRequest(
            f"{path}: is parquet, which needs pyarrow; pip install 'laserve[bench]'"
        ) from error
    try:
        file = ParquetFile(path)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise _damaged(path) from error
    names = file.schema_arrow.names
    if twice := {name for name in names if names.count(name) > 1}:
        raise InvalidRequest(f"{path}: names the column {min(twice)} twice")
    return _records(path, file)


def _records(path: Path, file: Any) -> Iterator[Record]:
    import pyarrow

    number = 0
    with file:
        batches = file.iter_batches(batch_size=_BATCH)
        while True:
            try:
                batch = next(batches, None)
                rows = [] if batch is None else batch.to_pylist()
            except (pyarrow.ArrowException, OSError, ValueError) as error:
                raise _damaged(path) from error
            except OverflowError as error:
                raise InvalidRequest(
                    f"{path}: holds a date or a time that is none of the years 1 to 9999"
                ) from error
            if batch is None:
                return
            for row in rows:
                number += 1
                values = json_value(row)
                problem = problem_of(values)
                yield Record(position=f"record {number}", values=None if problem else values, problem=problem)


def json_value(value: Any) -> Any:
    """The JSON value of a value of Arrow.

    A float that is no number is null, since pandas saves missing values so. Bytes are a text if they are
    UTF-8; moments and dates are texts in ISO 8601, durations seconds; a map is an object.
    """
    if isinstance(value, list) and value and all(isinstance(one, tuple) for one in value):
        value = dict(value)
    if isinstance(value, dict):
        return {str(name): json_value(one) for name, one in value.items()}
    if isinstance(value, list):
        return [json_value(one) for one in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    made = value
    match value:
        case float() if math.isnan(value):
            made = None
        case None | bool() | str() | int() | float():
            pass
        case bytes():
            made = _text(value)
        case Decimal():
            made = int(value) if value == value.to_integral_value() else float(value)
        case date() | time():
            made = value.isoformat()
        case timedelta():
            made = value.total_seconds()
        case _:
            made = str(value)
    return made


def _text(value: bytes) -> str | bytes:
    """UTF-8 as a text; other bytes, such as pictures, remain bytes, which no shape takes for a text."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _damaged(path: Path) -> InvalidRequest:
    return InvalidRequest(f"{path}: starts as parquet, but is cut or damaged")
