"""Opening of a file: its format, and its records."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

from laserve.errors import InvalidRequest
from laserve.lab.data.formats.records import Opened, Record


def open_records(path: Path) -> Opened:
    """The format and the records of a file."""
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    return Opened(format="JSON lines", records=_lines(content.decode("utf-8-sig"), path))


def _lines(text: str, path: Path) -> Iterator[Record]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                values = json.loads(line)
            except ValueError as error:
                raise InvalidRequest(f"{path}: line {number}: is not JSON") from error
            yield Record(position=f"line {number}", values=values)
