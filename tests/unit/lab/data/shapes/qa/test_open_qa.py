"""TriviaQA and HotpotQA."""

from typing import Any

import pytest

from data_questions import BUILT, HOTPOT, TRIVIA, made, only
from laserve.lab.data.shapes.base import BadRecord, LeftOut


def test_a_question_of_triviaqa_has_its_value_and_aliases_as_right_answers() -> None:
    row = only(TRIVIA)
    assert (row.id, row.references, row.metric) == ("tc_2", ("Ada Thorn", "A. Thorn"), "f1")
    assert [(document.title, document.text) for document in row.request.documents] == [("Velm", BUILT)]


def test_pages_of_triviaqa_may_be_a_list_or_hold_no_texts() -> None:
    pages = [{"title": "Velm", "search_context": BUILT}, {"title": "empty"}]
    row = only(TRIVIA | {"entity_pages": {"title": ["Velm"]}, "search_results": pages})
    assert [document.text for document in row.request.documents] == [BUILT]


@pytest.mark.parametrize(
    "context", [HOTPOT["context"], [["Market", ["Fish is sold.", " At six."]], ["Velm", [BUILT]]]]
)
def test_a_question_of_hotpotqa_has_its_articles_as_documents(context: Any) -> None:
    row = only(HOTPOT | {"context": context})
    assert [(one.title, one.text) for one in row.request.documents] == [
        ("Market", "Fish is sold. At six."),
        ("Velm", BUILT),
    ]
    assert (row.references, row.task, row.id) == (("Ada Thorn",), "multi-doc-qa", "5a8b")


@pytest.mark.parametrize("record", [TRIVIA | {"answer": {"value": None}}, HOTPOT | {"answer": None}])
def test_questions_of_a_test_set_are_left_out(record: dict[str, Any]) -> None:
    assert made(record) == LeftOut(reason="no right answers")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (TRIVIA | {"answer": {"value": "a", "aliases": [{}]}}, r"answer\.aliases\[0\]: must be a text"),
        (TRIVIA | {"entity_pages": [3]}, r"entity_pages\[0\]: must be an object, is a number"),
        (
            HOTPOT | {"context": [["Velm", 3]]},
            r"context\[0\]\.sentences: must be a list of texts, is a number",
        ),
    ],
)
def test_a_bad_record_is_named_by_its_column(record: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRecord, match=message):
        only(record)
