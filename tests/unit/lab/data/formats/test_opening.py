"""Files are read by their content, whatever their suffix; what holds no rows is refused in a sentence."""

import io
import os
import pickle
import sqlite3
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_files import CODECS, COMPRESSIONS, JSON_FORMS, json_lines, json_list, records, saved, table, values
from laserve.errors import InvalidRequest
from laserve.lab.data.formats.opening import open_records

ROWS = [{"prompt": "who built it?", "chosen": "Ada Thorn"}, {"prompt": "und die Brücke?", "chosen": "日本"}]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(-1e9, 1e9) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
#: Rows that are rows in every form: one object with one list of objects would be its rows.
TABLES = st.lists(
    st.dictionaries(TEXTS, VALUES, max_size=3).map(lambda row: {"id": "1"} | row), min_size=1, max_size=4
)
SHARED = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@given(
    rows=TABLES,
    form=st.sampled_from(sorted(JSON_FORMS)),
    compression=st.sampled_from(sorted(COMPRESSIONS)),
    codec=st.sampled_from(CODECS),
)
@SHARED
def test_rows_read_back_equal_in_every_form_compression_and_encoding(
    tmp_path: Path, rows: list[dict[str, Any]], form: str, compression: str, codec: str
) -> None:
    content = COMPRESSIONS[compression](JSON_FORMS[form](rows).encode(codec))
    assert values(saved(tmp_path, content)) == rows


@given(
    content=st.sampled_from(
        [json_lines(ROWS), json_list(ROWS), table(ROWS), JSON_FORMS["object with a list"](ROWS)]
    ),
    compression=st.sampled_from(sorted(COMPRESSIONS)),
    codec=st.sampled_from(["utf-8", "utf-16", "utf-16-le"]),
    share=st.floats(0, 1, exclude_max=True),
)
@SHARED
def test_a_file_cut_anywhere_is_read_to_the_cut_or_refused(
    tmp_path: Path, content: str, compression: str, codec: str, share: float
) -> None:
    whole = COMPRESSIONS[compression](content.encode(codec))
    cut = int(len(whole) * share)
    path = saved(tmp_path, whole[:cut])
    if compression != "plain" and cut > 6:
        with pytest.raises(InvalidRequest, match=f"the {compression} archive is cut"):
            records(path)
        return
    try:
        read = values(path)
    except InvalidRequest as error:
        assert str(path) in error.message
    else:
        assert all(value is None or value in ROWS or codec == "utf-8" for value in read)


@given(
    content=st.binary(max_size=300),
    start=st.sampled_from([b"", b"PAR1", b"\x1f\x8b\x08\x00", b"(\xb5/\xfd", b"BZh9", b"[", b"{", b"a,b\n"]),
)
@SHARED
def test_random_bytes_are_records_or_refused(tmp_path: Path, content: bytes, start: bytes) -> None:
    path = saved(tmp_path, start + content)
    try:
        assert all(record.problem or record.values is not None for record in records(path))
    except InvalidRequest as error:
        assert str(path) in error.message


@given(cut=st.integers(0, 600), changed=st.integers(0, 600), byte=st.integers(0, 255))
@SHARED
def test_a_damaged_parquet_file_is_read_or_refused(tmp_path: Path, cut: int, changed: int, byte: int) -> None:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), out)
    content = bytearray(out.getvalue())
    content[changed % len(content)] = byte
    path = saved(tmp_path, bytes(content[: len(content) - cut]))
    try:
        records(path)
    except InvalidRequest as error:
        assert str(path) in error.message


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv", "rows.gz", "rows.parquet", "rows"])
@pytest.mark.parametrize("compression", ["plain", "zstd"])
def test_the_content_decides_not_the_suffix(tmp_path: Path, name: str, compression: str) -> None:
    assert values(saved(tmp_path, COMPRESSIONS[compression](json_lines(ROWS).encode()), name)) == ROWS
    assert values(saved(tmp_path, COMPRESSIONS[compression](table(ROWS).encode()), name)) == ROWS


def test_the_format_is_said_in_words(tmp_path: Path) -> None:
    lines = json_lines(ROWS)
    assert open_records(saved(tmp_path, lines)).format == "JSON lines, UTF-8"
    packed = COMPRESSIONS["gzip"](lines.encode("utf-8-sig"))
    assert open_records(saved(tmp_path, packed)).format == "JSON lines, gzip, UTF-8 with a byte order mark"
    assert open_records(saved(tmp_path, json_list(ROWS))).format == "a JSON list, UTF-8"
    assert open_records(saved(tmp_path, table(ROWS, delimiter=";"))).format == "CSV with semicolons, UTF-8"


def _zip(name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, "rows")
    return out.getvalue()


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("rows.jsonl")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"rows"))
    return out.getvalue()


def _numpy() -> bytes:
    out = io.BytesIO()
    np.save(out, np.arange(3))
    return out.getvalue()


def _database(folder: Path) -> bytes:
    path = folder / "rows.db"
    with sqlite3.connect(path) as database:
        database.execute("create table rows (prompt)")
    database.close()
    return path.read_bytes()


def _arrow() -> bytes:
    out = io.BytesIO()
    rows = pa.Table.from_pylist(ROWS)
    with pa.ipc.new_file(out, rows.schema) as writer:
        writer.write_table(rows)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (_zip("rows.jsonl"), "a zip archive.*unpack it"),
        (_zip("[Content_Types].xml"), r"Office.*\.xlsx.*as CSV"),
        (_tar(), "a tar archive"),
        (COMPRESSIONS["gzip"](_tar()), "a tar archive, inside gzip"),
        (b"\x5d\x00\x00\x80\x00" + b"\xff" * 9, "an archive of lzma"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04", "a 7z archive"),
        (b"Rar!\x1a\x07\x01\x00", "a rar archive"),
        (pickle.dumps(ROWS), "a pickle"),
        (_numpy(), "NumPy"),
        (_arrow(), "an Arrow file"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\n<!DOCTYPE html>\n<html>", "a web page"),
        (b"<html><body>Not found", "a web page"),
        (b'<?xml version="1.0"?>', "XML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "a pointer of Git LFS.*git lfs pull"),
        (COMPRESSIONS["gzip"](COMPRESSIONS["bzip2"](b"{}")), "compressed twice, bzip2 in gzip"),
        (COMPRESSIONS["gzip"](b"PAR1"), "a parquet file, inside gzip"),
        (b"PAR1", "starts as parquet, but is cut"),
        (b"", "is empty"),
        (COMPRESSIONS["zstd"](b""), "is empty"),
        (b"\n \n\n", "is empty"),
        (b"Dear reader,\nthis is no table.\n", "holds no rows; expected JSON lines"),
        (bytes(range(128, 256)), "holds no rows"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value,  # archives hold the time of their making
)
def test_another_kind_of_file_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = saved(tmp_path, content)
    with pytest.raises(InvalidRequest, match=f"rows.jsonl: .*{words}"):
        records(path)


def test_a_database_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="an SQLite database"):
        records(saved(tmp_path, _database(tmp_path)))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, words in [
        (tmp_path, "a folder"),
        (tmp_path / "pipe", "a pipe; save"),
        (Path("/dev/null"), "a device"),
        (tmp_path / "absent", "cannot be read: No such file"),
        (Path("/proc/self/mem"), "cannot be read"),
    ]:
        with pytest.raises(InvalidRequest, match=f"{path}: .*{words}"):
            records(path)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package, content in [("zstandard", COMPRESSIONS["zstd"](b"{}")), ("pyarrow", b"PAR1")]:
        monkeypatch.setitem(__import__("sys").modules, package, None)
        with pytest.raises(InvalidRequest, match=rf"needs {package}; pip install 'laserve\[bench\]'"):
            records(saved(tmp_path, content))
