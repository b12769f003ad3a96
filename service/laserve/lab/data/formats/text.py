"""Text of files: its encoding, and its lines."""

import codecs
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from laserve.errors import InvalidRequest
from laserve.lab.data.formats.compression import open_binary

#: Codecs of wide characters, of 2 and 4 bytes -> their names.
_WIDE = {
    "utf-16": "UTF-16 with a byte order mark",
    "utf-16-le": "UTF-16, little endian",
    "utf-16-be": "UTF-16, big endian",
    "utf-32": "UTF-32 with a byte order mark",
    "utf-32-le": "UTF-32, little endian",
    "utf-32-be": "UTF-32, big endian",
}
_CHUNK = 1 << 20
#: Lone surrogates, which no text may hold: `Text` decodes a byte that its encoding does not know as one.
SURROGATE = re.compile("[\ud800-\udfff]")
#: Characters of a line without content, and around its content.
BLANK = " \t\r\n\f\v\ufeff"


@dataclass(frozen=True, kw_only=True)
class Text:
    """The text of a file, perhaps compressed."""

    path: Path
    compression: str | None
    #: Name of the encoding for Python.
    codec: str
    #: Name of the encoding for messages.
    encoding: str

    def lines(self) -> Iterator[str]:
        """Lines with their ends; only a line feed ends a line. Raises InvalidRequest."""
        with io.TextIOWrapper(
            open_binary(self.path, self.compression), self.codec, _errors(self.codec), newline="\n"
        ) as lines:
            yield from lines

    def whole(self) -> str:
        """The text as one. Raises InvalidRequest."""
        return "".join(self.lines())


def open_text(path: Path, compression: str | None) -> Text:
    """The text of a file, in the encoding that its bytes show; all of them are read once.

    A byte order mark, or zero bytes beside the first characters, show UTF-16 and UTF-32. Other files are
    UTF-8 unless more bytes break it than there are characters beyond ASCII that keep to it: then they are
    Windows-1252, which is Latin-1 with quotation marks. So one bad byte in a long file of UTF-8 spoils one
    line, and a file of an old Windows program is read as it was written.

    Raises:
        InvalidRequest: the file cannot be read, its archive is cut or damaged, or it breaks UTF-16 or UTF-32.
    """
    with open_binary(path, compression) as file:
        start = file.peek(4)[:4]  # type: ignore[attr-defined]
        codec = json.detect_encoding(start)
        if codec in _WIDE:
            _check_wide(file, codec, path)
            return Text(path=path, compression=compression, codec=codec, encoding=_WIDE[codec])
        good, bad = _counts(file)
    if bad > good:
        return Text(path=path, compression=compression, codec="cp1252", encoding="Windows-1252")
    encoding = "UTF-8 with a byte order mark" if codec == "utf-8-sig" else "UTF-8"
    return Text(path=path, compression=compression, codec=codec, encoding=encoding)


def _errors(codec: str) -> str:
    """Treatment of what a codec cannot decode: it becomes a lone surrogate."""
    return "surrogatepass" if codec in _WIDE else "surrogateescape"


def _check_wide(file: BinaryIO, codec: str, path: Path) -> None:
    decoder = codecs.getincrementaldecoder(codec)(_errors(codec))
    try:
        while chunk := file.read(_CHUNK):
            decoder.decode(chunk)
        decoder.decode(b"", True)
    except UnicodeError as error:
        raise InvalidRequest(
            f"{path}: looks like {_WIDE[codec]}, but is cut or breaks it: {error}"
        ) from error


def _counts(file: BinaryIO) -> tuple[int, int]:
    """Number of characters beyond ASCII in UTF-8, and number of bytes that are not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    good = bad = 0
    ended = False
    while not ended:
        chunk = file.read(_CHUNK)
        ended = not chunk
        text = decoder.decode(chunk, ended)
        if not text.isascii():
            broken = len(SURROGATE.findall(text))
            bad += broken
            good += len(text) - len(text.encode("ascii", "ignore")) - broken
    return good, bad
