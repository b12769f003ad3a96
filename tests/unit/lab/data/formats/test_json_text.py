"""JSON as lines, as a list and as objects; a record that breaks a rule is named, and the others are read."""

import gzip
import json
import tracemalloc
from pathlib import Path

import pytest

from data_files import pretty_list, problems, records, saved, values
from laserve.errors import InvalidRequest
from laserve.lab.data.formats.opening import open_records

GOOD = '{"prompt": "x"}'
DEEP = '{"a": ' + "[" * 70 + "]" * 70 + "}"
DEEPER = '{"a": ' + "[" * 5000 + "]" * 5000 + "}"

BAD = [
    ('{"a": NaN}', "a: is NaN, which JSON does not know"),
    ('{"a": [1, -Infinity]}', "a[1]: is -Infinity, which JSON does not know"),
    ('{"a": 1e999}', "a: is too large a number"),
    (f'{{"a": {"9" * 5000}}}', "a: is too large a number"),
    ('{"a": 1, "b": 2, "a": 3}', "has the name 'a' twice"),
    ('{"m": [{"role": "user", "role": "system"}]}', "m[0]: has the name 'role' twice"),
    ('{"a": "\\ud83d"}', "a: holds half a character, \\ud83d"),
    ('{"\\ude00": 1}', "holds half a character, \\ude00"),
    (DEEP, "has more than 64 lists and objects in each other"),
    ("[1, 2]", "is JSON, but must be an object"),
    ("null", "is JSON, but must be an object"),
    ('"text"', "is JSON, but must be an object"),
]
BAD_LINES = [
    *BAD,
    (DEEPER, "is not JSON: too many lists and objects in each other at character 1"),
    ('{"a": 1},', "ends with a comma, which JSON lines do not have"),
    ('{"a": 1} {"b": 2}', "holds several JSON values; each must have its own line"),
    ("{'a': 1}", "is an object of Python, not JSON: names and texts need double quotes"),
    ('{"a": 1', "is not JSON: Expecting ',' delimiter at character 8"),
    ('{"a": "x', "is not JSON: Unterminated string starting at character 7"),
    ('{"a": "x\0"}', "holds zero bytes, so the file is damaged"),
    ("??\0\0", "holds zero bytes, so the file is damaged"),
    ("# rows", "is not JSON: Expecting value at character 1"),
]


@pytest.mark.parametrize(("line", "problem"), BAD_LINES)
@pytest.mark.parametrize("first", [True, False])
def test_a_bad_line_is_named_and_the_others_are_read(
    tmp_path: Path, line: str, problem: str, first: bool
) -> None:
    path = saved(tmp_path, "\n".join([line, GOOD, GOOD] if first else [GOOD, line, GOOD]))
    at = "line 1" if first else "line 2"
    [(position, found)] = problems(path).items()
    assert position == at
    assert found.endswith(problem)
    assert [value for value in values(path) if value is not None] == [{"prompt": "x"}] * 2


@pytest.mark.parametrize(("entry", "problem"), BAD)
def test_a_bad_entry_of_a_list_is_named_and_the_others_are_read(
    tmp_path: Path, entry: str, problem: str
) -> None:
    path = saved(tmp_path, f"[{GOOD}, {entry},\n{GOOD}]")
    [(position, found)] = problems(path).items()
    assert position == "record 2"
    assert found.endswith(problem)
    assert [value for value in values(path) if value is not None] == [{"prompt": "x"}] * 2


def test_messages_of_many_turns_are_not_nested_too_deeply(tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "[[[{{{"} for _ in range(100)]}
    assert values(saved(tmp_path, json.dumps(row))) == [row]


def test_surrogates_that_form_a_character_are_one(tmp_path: Path) -> None:
    assert values(saved(tmp_path, '{"a": "\\ud83d\\ude00"}')) == [{"a": "😀"}]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pretty_list([{"a": 1}, {"b": 2}])[:-3], "record 2: .*where the file ends"),
        (
            f"[{GOOD}, {GOOD}",
            "record 2: is not JSON: Expecting ',' or ']' at line 1, column 34, where the file ends",
        ),
        (f"[{GOOD},\n]", "record 2: is not JSON: Expecting value at line 2, column 1"),
        (f"[\n{GOOD}]\n{GOOD}", "record 1: is not JSON: Extra data at line 3, column 1"),
        (f"[\n{GOOD}\n{GOOD}\n]", "record 1: is not JSON: Expecting ',' or ']' at line 3, column 1"),
        ('{\n"data": [\n{"a": 1},\n', "is not JSON: .*where the file ends"),
        ('{\n"a": 1\n}\n{\n"a"', "is not JSON: .*at line 5"),
    ],
)
def test_a_broken_document_is_refused_by_line_and_column(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=f"rows.jsonl: {words}"):
        records(saved(tmp_path, content))


def test_objects_over_several_lines_may_follow_each_other(tmp_path: Path) -> None:
    path = saved(tmp_path, '{\n "a": 1\n}\n{\n "a": 2\n}\n')
    assert open_records(path).format == "JSON objects, UTF-8"
    assert values(path) == [{"a": 1}, {"a": 2}]


def test_a_first_line_cut_short_does_not_hide_the_lines_after_it(tmp_path: Path) -> None:
    assert values(saved(tmp_path, f'{{"a": 1, "b":\n{GOOD}\n{GOOD}')) == [None, *[{"prompt": "x"}] * 2]


def test_lines_of_lists_are_lines(tmp_path: Path) -> None:
    assert list(problems(saved(tmp_path, '[1]\n[{"a": 2}]\n'))) == ["line 1", "line 2"]


def test_an_empty_list_holds_no_records(tmp_path: Path) -> None:
    assert records(saved(tmp_path, "[ ]\n")) == []


def test_lines_are_not_held_in_memory(tmp_path: Path) -> None:
    path = saved(tmp_path, gzip.compress((json.dumps({"prompt": "x" * 4000}) + "\n").encode() * 4_000, 1))
    tracemalloc.start()
    count = sum(1 for _ in open_records(path).records)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 4_000
    assert peak < 6e6  # of 16 MB of text
