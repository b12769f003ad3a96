"""Files that are one JSON object: SQuAD documents, lists of records, columns, and single records."""

import json
from pathlib import Path
from typing import Any

import pytest

from data_files import problems, records, saved, values
from laserve.errors import InvalidRequest

ROWS = [{"prompt": "a", "chosen": "b"}, {"prompt": "c", "chosen": "d"}]
QUESTION = {"id": "q1", "question": "who?", "answers": [{"text": "Ada", "answer_start": 0}]}
NEGATIVE = {
    "id": "q2",
    "question": "where?",
    "answers": [],
    "is_impossible": True,
    "plausible_answers": [{"text": "Velm", "answer_start": 4}],
}
SQUAD: dict[str, Any] = {
    "version": "v2.0",
    "data": [
        {"title": "Other", "paragraphs": [{"context": "Nothing.", "qas": []}]},
        {"title": "Velm", "paragraphs": [{"context": "Ada.", "qas": [QUESTION, NEGATIVE]}]},
    ],
}


def test_each_question_of_a_squad_document_is_a_record(tmp_path: Path) -> None:
    first, second = records(saved(tmp_path, json.dumps(SQUAD), "dev.json"))
    assert first.position == "data[1].paragraphs[0].qas[0]"
    assert first.values == {"title": "Velm", "context": "Ada."} | QUESTION
    assert second.position == "data[1].paragraphs[0].qas[1]"
    assert second.values == {"title": "Velm", "context": "Ada."} | NEGATIVE


def test_a_bad_part_of_a_squad_document_is_named_by_its_path(tmp_path: Path) -> None:
    broken = {
        "data": [
            {"paragraphs": [{"context": "x"}, 3, {"context": "x", "qas": ["who?"]}]},
            {},
            SQUAD["data"][1],
        ]
    }
    path = saved(tmp_path, json.dumps(broken))
    assert problems(path) == {
        "data[0].paragraphs[0]": "qas: must be a list",
        "data[0].paragraphs[1]": "qas: must be a list",
        "data[0].paragraphs[2].qas[0]": "is JSON, but must be an object",
        "data[1]": "paragraphs: must be a list",
    }
    assert len([value for value in values(path) if value]) == 2


@pytest.mark.parametrize("name", ["data", "rows", "examples", "train", "validation", "test"])
@pytest.mark.parametrize("indent", [None, 1])
def test_one_list_of_objects_holds_the_records(tmp_path: Path, name: str, indent: int | None) -> None:
    path = saved(tmp_path, json.dumps({"version": 1, name: ROWS}, indent=indent))
    assert values(path) == ROWS
    assert [record.position for record in records(path)] == [f"{name}[0]", f"{name}[1]"]


def test_two_lists_of_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="holds the lists data and train; save each as a file"):
        records(saved(tmp_path, json.dumps({"train": ROWS, "data": ROWS})))
    with pytest.raises(InvalidRequest, match="holds the lists train and test; save each as a file"):
        records(saved(tmp_path, json.dumps({"train": ROWS, "test": ROWS})))


def test_rows_of_the_datasets_server_are_unwrapped(tmp_path: Path) -> None:
    rows = [{"row_idx": index, "row": row, "truncated_cells": []} for index, row in enumerate(ROWS)]
    page = {"features": [{"name": "prompt"}], "rows": rows, "num_rows_total": 2}
    assert values(saved(tmp_path, json.dumps(page))) == ROWS


@pytest.mark.parametrize(
    "columns",
    [
        {"prompt": ["a", "c"], "chosen": ["b", "d"]},
        {"prompt": {"0": "a", "1": "c"}, "chosen": {"0": "b", "1": "d"}},  # as pandas writes it
    ],
)
def test_an_object_of_columns_holds_a_record_for_each_row(tmp_path: Path, columns: dict[str, Any]) -> None:
    path = saved(tmp_path, json.dumps(columns))
    assert values(path) == ROWS
    assert [record.position for record in records(path)] == ["record 1", "record 2"]


def test_columns_of_different_lengths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="equally long: prompt 2, chosen 1"):
        records(saved(tmp_path, json.dumps({"prompt": ["a", "c"], "chosen": ["b"]})))


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "a", "chosen": "b", "rejected": "c"},
        {"chosen": [{"role": "user", "content": "x"}], "rejected": [{"role": "user", "content": "x"}]},
        {"question": "who?", "documents": [{"text": "x"}], "answers": ["a"]},
        {},
    ],
)
def test_an_object_with_the_columns_of_a_record_is_one(
    tmp_path: Path, row: dict[str, Any], indent: int | None
) -> None:
    [record] = records(saved(tmp_path, json.dumps(row, indent=indent)))
    assert record.values == row
    assert record.position == ("record 1" if indent and row else "line 1")
