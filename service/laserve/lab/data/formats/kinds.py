"""Kinds of files that hold no rows, or hold them in a form that is not read, by their first bytes."""

import re
from collections.abc import Mapping

#: First bytes -> what a file is, with what to do.
_KINDS: Mapping[bytes, str] = {
    b"PK\x03\x04": "a zip archive; unpack it",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive; unpack it",
    b"Rar!\x1a\x07": "a rar archive; unpack it",
    b"\x5d\x00\x00": "an archive of lzma; decompress it",
    b"\x04\x22\x4d\x18": "lz4; decompress it",
    b"\x1f\x9d": "an archive of compress; decompress it",
    b"ARROW1": "an Arrow file; save it as parquet",
    b"\xff\xff\xff\xff": "an Arrow stream; save it as parquet",
    b"FEA1": "a Feather file; save it as parquet",
    b"ORC": "an ORC file; save it as parquet",
    b"Obj\x01": "an Avro file; save it as parquet",
    b"\x93NUMPY": "an array of NumPy; save the rows as JSON lines",
    b"\x89HDF": "an HDF5 file; save the rows as parquet",
    b"SQLite format 3\x00": "an SQLite database; save the rows as JSON lines",
    b"\xd0\xcf\x11\xe0": "an old Office document; save the table as CSV",
    b"%PDF-": "a PDF document",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself; run git lfs pull",
}
_OFFICE = "an Office document, such as .xlsx; save the table as CSV"
_TAR = "a tar archive; unpack it"
_PICKLE = "a pickle, which could run code and is not read; save the rows as JSON lines"
_PAGE = "a web page, perhaps the answer to a download that was refused"
_XML = "XML; save the rows as JSON lines"


def other_kind(head: bytes) -> str | None:
    """What a file with these first bytes is if it is none that is read; None if it may be one."""
    for magic, words in _KINDS.items():
        if head.startswith(magic):
            return _OFFICE if b"[Content_Types].xml" in head else words
    if head[257:262] == b"ustar":
        return _TAR
    if re.match(rb"\x80[\x02-\x05]", head):
        return _PICKLE
    if re.match(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html|head|body|!--)", head, re.IGNORECASE):
        return _PAGE
    return _XML if re.match(rb"(\xef\xbb\xbf)?\s*<\?xml", head) else None
