"""Files of data in every format, written by tests."""

import bz2
import csv
import gzip
import io
import json
import lzma
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import zstandard

from laserve.lab.data.formats.opening import open_records
from laserve.lab.data.formats.records import Record

Rows = Sequence[Mapping[str, Any]]

#: Name of a compression -> its function.
COMPRESSIONS: Mapping[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": partial(gzip.compress, mtime=0),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
#: Codecs that keep every text, those with a byte order mark first.
CODECS = ("utf-8-sig", "utf-16", "utf-32", "utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")


def json_lines(rows: Rows, *, ascii_only: bool = False) -> str:
    return "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows)


def json_list(rows: Rows) -> str:
    return json.dumps(rows, ensure_ascii=False)


def pretty_list(rows: Rows) -> str:
    return json.dumps(rows, ensure_ascii=False, indent=2)


def lists_of_rows(rows: Rows) -> str:
    return json.dumps({"version": "1", "data": rows}, indent=1)


#: Name of a form of JSON -> its function.
JSON_FORMS: Mapping[str, Callable[[Rows], str]] = {
    "lines": json_lines,
    "list": json_list,
    "pretty list": pretty_list,
    "object with a list": lists_of_rows,
}


def table(rows: Rows, *, delimiter: str = ",", end: str = "\r\n") -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def saved(folder: Path, content: bytes | str, name: str = "rows.jsonl") -> Path:
    """A file with this content; a text is saved in UTF-8."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def records(path: Path) -> list[Record]:
    return list(open_records(path).records)


def values(path: Path) -> list[Mapping[str, Any] | None]:
    return [record.values for record in records(path)]


def problems(path: Path) -> dict[str, str]:
    """Position -> problem of each bad record."""
    return {record.position: record.problem for record in records(path) if record.values is None}
