"""Files of rows: what is good in them is read, and what is not is named by file, position and column."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from laserve.errors import ConfigError, InvalidRequest
from laserve.lab.data.reading import NAMED, RowFile, read

PAIR = {"prompt": "say hello", "chosen": "hello", "rejected": "no"}
BAD = {"prompt": "say hello", "chosen": 3, "rejected": "no"}


def written(folder: Path, *rows: Any, name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def only(path: Path) -> RowFile:
    (file,) = read([path])
    return file


def test_a_bad_record_among_good_ones_is_left_out_named_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path, PAIR, BAD, PAIR, [1, 2])
    with caplog.at_level(logging.WARNING):
        file = only(path)
    assert (len(file.rows), file.records, [one.position for one in file.bad]) == (2, 4, ["line 2", "line 4"])
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{path}: 2 of 4 records cannot be read\n"
        "  line 2: chosen: must be a text, is a number\n"
        "  line 4: is JSON, but must be an object; they are left out"
    )


def test_a_bad_record_is_refused_where_the_reader_is_strict(tmp_path: Path) -> None:
    path = written(tmp_path, PAIR, BAD)
    with pytest.raises(
        InvalidRequest, match=r"rows\.jsonl: 1 of 2 records cannot be read\n  line 2: chosen: "
    ):
        read([path], strict=True)


def test_a_file_without_a_good_record_is_refused_with_the_first_bad_ones(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidRequest, match=r"(?s)9 of 9 records .*line 1: .*line 5: .*and 4 more"
    ) as caught:
        read([written(tmp_path, *[BAD] * 9)])
    assert len(caught.value.message.splitlines()) == NAMED + 2


def test_a_file_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"rows\.jsonl: "):
        read([written(tmp_path)])


def test_records_of_several_shapes_may_stand_in_one_file(tmp_path: Path) -> None:
    question = {"question": "who?", "documents": ["Ada"], "answers": ["Ada"]}
    file = only(written(tmp_path, PAIR, question, PAIR))
    assert sorted(file.shapes.values()) == [1, 2]


def test_other_records_of_one_id_are_numbered(tmp_path: Path) -> None:
    records = [
        PAIR | {"id": id_, "rejected": text} for id_, text in [("a", "w"), ("a", "x"), ("b", "y"), ("a", "z")]
    ]
    file = only(written(tmp_path, *records, PAIR | {"id": "a#2"}))
    assert [row.id for row in file.rows] == ["a", "a#2", "b", "a#3", "a#2#2"]
    assert [row.texts[1] for row in file.rows] == ["w", "x", "y", "z", "no"]
    assert (file.bad, file.left_out) == ((), {})


def test_a_record_that_repeats_another_one_of_its_id_is_left_out(tmp_path: Path) -> None:
    other = PAIR | {"id": "a", "rejected": "x"}
    file = only(written(tmp_path, PAIR | {"id": "a"}, other, PAIR | {"id": "a"}, other))
    assert [row.id for row in file.rows] == ["a", "a#2"]
    assert (file.bad, file.left_out) == ((), {"repeats an earlier record, with its id": 2})


def test_answers_to_other_prompts_of_one_id_are_other_rows(tmp_path: Path) -> None:
    votes = [
        {"id": 1, "prompt": prompt, "completion": completion, "label": completion == "x"}
        for prompt, completion in [("a?", "x"), ("b?", "x"), ("a?", "y"), ("b?", "z")]
    ]
    rows = only(written(tmp_path, *votes)).rows
    assert [(row.id, row.texts) for row in rows] == [("1", ("x", "y")), ("1#2", ("x", "z"))]


def test_columns_that_look_like_answers_but_are_not_read_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(
        tmp_path, {"prompt": "a?", "response": "x", "la\x1bbel": 1}, {"prompt": "b?", "label": None}
    )
    with caplog.at_level(logging.WARNING):
        file = only(path)
    assert file.unread == {"response": 1, "la\x1bbel": 1}
    assert [record.getMessage() for record in caplog.records] == [rf"{path}: not read: response, la\x1bbel"]


def test_answers_to_one_prompt_on_several_lines_are_one_row(tmp_path: Path) -> None:
    votes = [
        {"prompt": prompt, "completion": completion, "label": label}
        for prompt, completion, label in [("a?", "x", True), ("b?", "y", True), ("a?", "z", False)]
    ]
    rows = only(written(tmp_path, *votes)).rows
    assert [(row.id, row.texts, row.qualities) for row in rows] == [
        ("1", ("x", "z"), (1.0, 0.0)),
        ("2", ("y",), (1.0,)),
    ]


def test_files_of_one_name_have_names_of_their_own(tmp_path: Path) -> None:
    paths = [written(tmp_path / folder, PAIR, name="test.jsonl") for folder in "ab"]
    files = read(paths)
    assert [file.name for file in files] == [file.label for file in files] == ["a/test.jsonl", "b/test.jsonl"]
    assert [row.key for file in files for row in file.rows] == [("a/test.jsonl", "1"), ("b/test.jsonl", "1")]


def test_a_file_given_twice_is_refused_by_its_option(tmp_path: Path) -> None:
    path = written(tmp_path, PAIR)
    with pytest.raises(ConfigError, match=r"--correctness: .*given twice"):
        read([path, path], option="--correctness")
