"""Values of parquet as JSON values."""

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_files import records, values
from laserve.errors import InvalidRequest
from laserve.lab.data.formats.opening import open_records

MOMENT = dt.datetime(2024, 5, 1, 12, 30, tzinfo=dt.UTC)


def stored(folder: Path, table: pa.Table, **options: Any) -> Path:
    path = folder / "train-00000-of-00001.parquet"
    pq.write_table(table, path, **options)
    return path


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["a", None]), ["a", None]),
        (pa.array(["a", "b"], pa.large_string()), ["a", "b"]),
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.array([1.5, float("nan")]), [1.5, None]),
        (pa.array([["a"], []]), [["a"], []]),
        (pa.array([[{"role": "user", "content": "x"}], None]), [[{"role": "user", "content": "x"}], None]),
        (pa.array([{"text": ["a"]}, {"text": None}]), [{"text": ["a"]}, {"text": None}]),
        (pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())), [{"k": 1}, []]),
        (pa.array([b"caf\xc3\xa9", b"plain"]), ["café", "plain"]),
        (pa.array([Decimal("1.50"), Decimal("2.00")]), [1.5, 2]),
        (pa.array([MOMENT, None]), ["2024-05-01T12:30:00+00:00", None]),
        (pa.array([MOMENT.date(), MOMENT.date()]), ["2024-05-01"] * 2),
        (pa.array([dt.timedelta(seconds=90), None]), [90.0, None]),
        (pa.array([True, False]), [True, False]),
    ],
)
def test_columns_become_json_values(tmp_path: Path, column: pa.Array, expected: list[Any]) -> None:
    read = values(stored(tmp_path, pa.table({"column": column})))
    assert read == [{"column": value} for value in expected]
    assert json.dumps(read, allow_nan=False)


def test_a_picture_spoils_no_other_column(tmp_path: Path) -> None:
    table = pa.table({"prompt": ["a"], "image": [b"\x89PNG\xff"]})
    assert values(stored(tmp_path, table)) == [{"prompt": "a", "image": b"\x89PNG\xff"}]


def test_rows_of_several_groups_are_numbered_through(tmp_path: Path) -> None:
    table = pa.table({"prompt": [str(number) for number in range(1000)]})
    path = stored(tmp_path, table, row_group_size=300)
    assert open_records(path).format == "parquet"
    assert [(record.position, record.values) for record in records(path)] == [
        (f"record {number + 1}", {"prompt": str(number)}) for number in range(1000)
    ]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["chosen", "chosen"])
    with pytest.raises(InvalidRequest, match="names the column chosen twice"):
        records(stored(tmp_path, table))


def test_a_moment_beyond_the_calendar_is_named(tmp_path: Path) -> None:
    table = pa.table({"prompt": ["a"], "at": pa.array([2**62], pa.timestamp("us"))})
    with pytest.raises(InvalidRequest, match="a date or a time that is none of the years 1 to 9999"):
        records(stored(tmp_path, table))
