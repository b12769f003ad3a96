"""Records: what the file formats hold, before a shape reads them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Record:
    """One record of a file, or the reason why it is none."""

    #: Position in the file, as messages name it: ``line 7``, ``record 7``, ``data[0].paragraphs[1].qas[2]``.
    position: str
    #: Column -> value, as JSON values; None if the record cannot be decoded.
    values: Mapping[str, Any] | None
    #: What is wrong with a record that cannot be decoded: ``is not JSON: ..``.
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A file whose format is known."""

    #: Format in words, for `laserve data inspect`: ``JSON lines, gzip, UTF-8 with a byte order mark``.
    format: str
    #: Records in the order of the file; an error of the file itself is raised here as InvalidRequest.
    records: Iterator[Record]
