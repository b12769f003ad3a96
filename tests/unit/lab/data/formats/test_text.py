"""Encodings, and what ends a line."""

import logging
from pathlib import Path

import pytest

from data_files import json_lines, problems, records, saved, values
from laserve.errors import InvalidRequest
from laserve.lab.data.formats.opening import open_records

WORDS = [{"prompt": "où est le café?", "chosen": "à côté"}, {"prompt": "plain", "chosen": "text"}]


@pytest.mark.parametrize("codec", ["latin-1", "cp1252"])
def test_what_is_not_utf_8_is_read_as_windows_1252_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, codec: str
) -> None:
    path = saved(tmp_path, json_lines(WORDS).encode(codec))
    with caplog.at_level(logging.WARNING):
        assert open_records(path).format == "JSON lines, Windows-1252"
    assert "rows.jsonl: is not UTF-8; it is read as Windows-1252" in caplog.text
    assert values(path) == WORDS


def test_quotation_marks_of_windows_are_kept(tmp_path: Path) -> None:
    assert values(saved(tmp_path, '{"prompt": "“so”"}\n{}'.encode("cp1252")))[0] == {"prompt": "“so”"}


def test_a_byte_that_windows_1252_does_not_define_spoils_its_line(tmp_path: Path) -> None:
    path = saved(tmp_path, b'{"prompt": "caf\xe9 \x81"}\n{"prompt": "\xe9t\xe9"}')
    assert values(path) == [None, {"prompt": "été"}]


def test_a_bad_byte_among_good_ones_spoils_its_line_alone(tmp_path: Path) -> None:
    content = json_lines(WORDS).encode() + b'{"prompt": "caf\xe9"}\n' + json_lines(WORDS).encode()
    path = saved(tmp_path, content)
    assert values(path) == [*WORDS, None, *WORDS]
    assert problems(path) == {"line 3": "prompt: holds the byte 0xE9, which is none of the file's encoding"}


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-be", "utf-32"])
def test_wide_characters_cut_in_the_middle_are_refused(tmp_path: Path, codec: str) -> None:
    with pytest.raises(InvalidRequest, match=r"rows\.jsonl: looks like UTF-.*, but is cut"):
        records(saved(tmp_path, json_lines(WORDS).encode(codec)[:-1]))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n", "\r\n \r\n"])
def test_line_feeds_end_lines_and_blank_lines_are_skipped_but_counted(tmp_path: Path, end: str) -> None:
    path = saved(tmp_path, json_lines(WORDS).replace("\n", end))
    step = end.count("\n")
    assert [record.position for record in records(path)] == ["line 1", f"line {1 + step}"]
    assert values(path) == WORDS


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85"])
def test_other_separators_do_not_end_a_line(tmp_path: Path, separator: str) -> None:
    row = {"prompt": f"one{separator}two"}
    assert values(saved(tmp_path, json_lines([row, row]))) == [row, row]


def test_a_lone_carriage_return_does_not_end_a_line(tmp_path: Path) -> None:
    path = saved(tmp_path, '{"prompt": "a"}\r{"prompt": "b"}\n{"prompt":\r"c"}\n')
    assert values(path) == [None, {"prompt": "c"}]
    assert "each must have its own line" in problems(path)["line 1"]
