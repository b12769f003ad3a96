"""Decompression of files, recognised by their first bytes whatever their suffix."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from laserve.errors import InvalidRequest

#: Compression -> first bytes.
_MAGIC: Mapping[str, bytes] = {
    "gzip": b"\x1f\x8b",
    "bzip2": b"BZh",
    "xz": b"\xfd7zXZ\x00",
    "zstd": b"\x28\xb5\x2f\xfd",
}
_OPENERS: Mapping[str | None, Callable[[BinaryIO], Any]] = {
    None: nullcontext,
    "gzip": gzip.open,
    "bzip2": bz2.open,
    "xz": lzma.open,
}
_CHUNK = 1 << 16


def compression_of(head: bytes) -> str | None:
    """Name of the compression of a file that starts with these bytes; None if there is none."""
    return next((name for name, magic in _MAGIC.items() if head.startswith(magic)), None)


def open_binary(path: Path, compression: str | None) -> BinaryIO:
    """The decompressed bytes of a file, one archive after another if there are several in the file.

    Raises:
        InvalidRequest: a package is missing; or, also while it is read, the file cannot be read, or the
            archive is cut or damaged.
    """
    if compression == "zstd":
        _zstandard(path)
    return io.BufferedReader(_Stream(path, compression), _CHUNK)


def _chunks(path: Path, compression: str | None) -> Iterator[bytes]:
    with path.open("rb") as file:
        if compression == "zstd":
            yield from _zstd_chunks(file, path)
            return
        with _OPENERS[compression](file) as plain:
            while chunk := plain.read(_CHUNK):
                yield chunk


def _zstd_chunks(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """Decompressed chunks; zstandard's own reader takes a cut file for a whole one."""
    zstandard = _zstandard(path)
    frames = zstandard.ZstdDecompressor(max_window_size=1 << 31)
    frame = None
    while pending := file.read(_CHUNK):
        while pending:
            frame = frame or frames.decompressobj()
            try:
                yield frame.decompress(pending)
            except zstandard.ZstdError as error:
                raise zlib.error(str(error)) from error
            pending = b""
            if frame.eof:
                pending, frame = frame.unused_data, None
    if frame is not None:
        raise EOFError


def _zstandard(path: Path) -> Any:
    try:
        import zstandard
    except ImportError as error:
        raise InvalidRequest(
            f"{path}: is zstd, which needs zstandard; pip install 'laserve[bench]'"
        ) from error
    return zstandard


class _Stream(io.RawIOBase):
    """The bytes of `_chunks`, whose errors are InvalidRequest."""

    def __init__(self, path: Path, compression: str | None) -> None:
        super().__init__()
        self._path = path
        self._compression = compression
        self._chunks = _chunks(path, compression)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the start of the buffer; 0 is the end of the file."""
        while not self._rest:
            chunk = self._next()
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def _next(self) -> bytes | None:
        try:
            return next(self._chunks, None)
        except EOFError as error:
            raise InvalidRequest(f"{self._path}: the {self._compression} archive is cut") from error
        except (zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
            raise self._damaged(error) from error
        except OSError as error:
            if error.errno is None:  # bz2's "Invalid data stream"
                raise self._damaged(error) from error
            raise unreadable(self._path, error) from error

    def _damaged(self, error: Exception) -> InvalidRequest:
        return InvalidRequest(f"{self._path}: the {self._compression} archive is damaged: {error}")

    def close(self) -> None:
        self._chunks.close()  # type: ignore[attr-defined]
        super().close()


def unreadable(path: Path, error: OSError) -> InvalidRequest:
    """The error of a file that the system does not let us read."""
    return InvalidRequest(f"{path}: cannot be read: {error.strerror or error}")
