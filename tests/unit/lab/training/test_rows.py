"""Rows that a training learns from, and those that are held out."""

import json
from pathlib import Path
from typing import Any

import pytest

from laserve.errors import ConfigError, InvalidRequest
from laserve.lab.training.rows import TrainingRows, training_rows


def pair(number: int, **changes: Any) -> dict[str, Any]:
    return {"prompt": f"question {number}", "chosen": "good", "rejected": "bad"} | changes


def saved(path: Path, *rows: object) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


def read(*data: Path, **changes: Any) -> TrainingRows:
    options: dict[str, Any] = {"hold_out": 0.0, "count": None, "references": True, "strict": False}
    return training_rows(data, **(options | changes))


def test_the_last_sources_of_each_file_are_held_out(tmp_path: Path) -> None:
    first = saved(tmp_path / "a.jsonl", *(pair(number) for number in range(10)))
    second = saved(tmp_path / "b.jsonl", *(pair(number, source=str(number // 2)) for number in range(10)))
    rows = read(first, second, hold_out=0.2)
    assert [(row.file, row.id) for row in rows.train] == [
        *(("a", str(number)) for number in range(1, 9)),
        *(("b", str(number)) for number in range(1, 9)),
    ]
    assert {label: [row.id for row in held] for label, held in rows.held.items()} == {
        "a.jsonl": ["9", "10"],
        "b.jsonl": ["9", "10"],
    }


def test_rows_without_a_better_answer_are_counted_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = saved(
        tmp_path / "rows.jsonl",
        pair(1),
        {"prompt": "x", "responses": ["a", "b"], "correct": [True, True]},
        {"question": "x", "answers": ["a"]},
        {"prompt": "x", "responses": ["a", "b"], "correct": [True, False]},
    )
    assert [row.id for row in read(path).train] == ["1", "4"]
    assert "no answer is better than another (1), fewer than two answers of known quality (1)" in caplog.text


def test_a_count_is_of_rows_that_can_be_used(tmp_path: Path) -> None:
    same = {"prompt": "x", "responses": ["a", "b"], "correct": [False, False]}
    path = saved(tmp_path / "rows.jsonl", same, pair(1), same, pair(2), pair(3))
    assert [row.id for row in read(path, count=2).train] == ["2", "4"]


def test_the_right_answer_of_a_training_row_is_an_answer_where_asked(tmp_path: Path) -> None:
    exported = {
        "question": "who?",
        "candidates": [{"text": "Ada"}, {"text": "Bo"}],
        "rewards": [0.2, 0.0],
        "feedback": [{"kind": "references", "value": ["Ada Thorn"]}],
    }
    path = saved(tmp_path / "log.jsonl", *(exported | {"source": str(number)} for number in range(2)))
    rows = read(path, hold_out=0.5)
    assert [row.texts for row in rows.train] == [("Ada", "Bo", "Ada Thorn")]
    assert [row.texts for row in rows.held["log.jsonl"]] == [("Ada", "Bo")]
    assert [row.texts for row in read(path, references=False).train] == [("Ada", "Bo")] * 2


def test_a_file_with_nothing_to_learn_from_is_refused_with_the_reasons(tmp_path: Path) -> None:
    good = saved(tmp_path / "good.jsonl", pair(1))
    bad = saved(tmp_path / "bad.jsonl", {"question": "x", "answers": ["a"]}, {"prompt": "x", "chosen": 1})
    with pytest.raises(ConfigError) as caught:
        read(good, bad)
    assert caught.value.message == (
        f"--data: {bad} has no row to learn from: fewer than two answers of known quality (1), "
        "cannot be read (1)"
    )


def test_a_file_that_is_all_held_out_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "rows.jsonl", pair(1))
    with pytest.raises(ConfigError, match=r"rows\.jsonl has no row to learn from: all are held out; give"):
        read(path, hold_out=0.9)


def test_a_bad_record_is_left_out_or_refused_where_the_option_is_strict(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = saved(tmp_path / "rows.jsonl", pair(1), "{'prompt': 1}", pair(2))
    assert len(read(path).train) == 2
    assert "line 2: is an object of Python" in caplog.text
    with pytest.raises(InvalidRequest, match="line 2: is an object of Python"):
        read(path, strict=True)
