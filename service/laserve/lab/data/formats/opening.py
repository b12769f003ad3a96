"""Opening of a file: its format, and its records."""

import logging
import stat
from pathlib import Path

from laserve.errors import InvalidRequest
from laserve.lab.data.formats.compression import compression_of, open_binary, unreadable
from laserve.lab.data.formats.csv_text import open_csv
from laserve.lab.data.formats.json_text import open_json
from laserve.lab.data.formats.kinds import other_kind
from laserve.lab.data.formats.parquet import MAGIC, parquet_records
from laserve.lab.data.formats.records import Opened
from laserve.lab.data.formats.text import BLANK, open_text

logger = logging.getLogger(__name__)

_HEAD = 1 << 12


def open_records(path: Path) -> Opened:
    """The format and the records of a file.

    The content decides, not the suffix: a plain file named ``.gz`` is read as a plain file. Compressions are
    gzip, bzip2, xz and zstd; formats are JSON lines, one JSON list or object, CSV, and parquet.

    Raises:
        InvalidRequest: the file cannot be read, is empty, cut or damaged, or of another format. The iteration
            of the records raises it too.
    """
    compression = compression_of(_head(path, None))
    head = _head(path, compression)
    if not head:
        raise InvalidRequest(f"{path}: is empty")
    if (inner := compression_of(head)) is not None:
        raise InvalidRequest(f"{path}: is compressed twice, {inner} in {compression}; decompress it once")
    inside = f", inside {compression}" if compression else ""
    if (kind := other_kind(head)) is not None:
        what, _, advice = kind.partition("; ")
        raise InvalidRequest(
            f"{path}: is {what}{inside}, not a file of rows" + (f"; {advice}" if advice else "")
        )
    if head.startswith(MAGIC):
        if compression:
            raise InvalidRequest(f"{path}: is a parquet file{inside}; decompress it")
        return Opened(format="parquet", records=parquet_records(path))
    return _open_text(path, compression)


def _open_text(path: Path, compression: str | None) -> Opened:
    text = open_text(path, compression)
    opened = open_json(text) or open_csv(text)
    if opened is None:
        expected = "expected JSON lines, a JSON list, CSV with a line of column names, or parquet"
        is_blank = not any(line.strip(BLANK) for line in text.lines())
        raise InvalidRequest(f"{path}: is empty" if is_blank else f"{path}: holds no rows; {expected}")
    form, records = opened
    if text.codec == "cp1252":
        logger.warning("%s: is not UTF-8; it is read as Windows-1252", path)
    words = [form, *([compression] if compression else []), text.encoding]
    return Opened(format=", ".join(words), records=records)


def _head(path: Path, compression: str | None) -> bytes:
    """The first decompressed bytes. Raises InvalidRequest."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(mode):
        raise InvalidRequest(f"{path}: must be a file, is {_kind_of(mode)}")
    with open_binary(path, compression) as file:
        return file.read(_HEAD)


def _kind_of(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a pipe; save its content as a file" if stat.S_ISFIFO(mode) else "a device or a socket"
