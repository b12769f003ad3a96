"""SQuAD as its JSON document and as rows."""

from typing import Any

import pytest

from data_questions import BUILT, SQUAD_DOCUMENT, SQUAD_ROW, made, only
from laserve.lab.data.shapes.base import BadRecord, LeftOut


@pytest.mark.parametrize("record", [SQUAD_ROW, SQUAD_DOCUMENT])
def test_a_question_of_squad_is_on_its_paragraph_and_an_article_is_one_source(record: dict[str, Any]) -> None:
    row = only(record)
    assert (row.id, row.task, row.source, row.metric, row.gold) == (
        "a",
        "single-doc-qa",
        "Velm_clock",
        "f1",
        0,
    )
    assert row.references == ("Ada Thorn",)
    (document,) = row.request.documents
    assert (document.title, document.text) == ("Velm clock", BUILT)


def test_a_paragraph_without_a_title_is_its_own_source() -> None:
    assert only(SQUAD_ROW | {"title": ""}).source == BUILT


@pytest.mark.parametrize(
    "record",
    [
        SQUAD_ROW | {"answers": {"text": [], "answer_start": []}},
        SQUAD_DOCUMENT | {"answers": [], "is_impossible": True},
        SQUAD_DOCUMENT | {"answers": [], "is_impossible": False},
    ],
)
def test_impossible_questions_of_squad_are_left_out(record: dict[str, Any]) -> None:
    assert made(record) == LeftOut(reason="SQuAD: is_impossible")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"answers": None}, "answers: is null"),
        ({"answers": {"text": "Ada"}}, r"answers\.text: must be a list of texts, is a text"),
        ({"answers": {"text": [3]}}, r"answers\[0\]: must be a text, is a number"),
        ({"answers": [{"text": "a"}, {"answer_start": 0}]}, r"answers\[1\]\.text: is missing"),
    ],
)
def test_a_bad_question_of_squad_is_named_by_its_column(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRecord, match=message):
        only(SQUAD_ROW | changes)


def test_a_question_of_squad_without_answers_is_refused() -> None:
    with pytest.raises(BadRecord, match="answers: is missing"):
        only({name: value for name, value in SQUAD_ROW.items() if name != "answers"})
