"""Multiple choice: the choices in the question, the letter as the answer."""

from typing import Any

import pytest

from data_questions import BUILT, LONG_V2, MMLU_ROW, only
from laserve.lab.data.shapes.base import BadRecord

QUESTION = """Who built the clock?
(A) Ada Thorn
(B) Bo Lark
(C) nobody
(D) a dairy
Answer with the letter of the right choice, like "The correct answer is (A)"."""


def test_a_question_of_longbench_v2_lists_its_choices_and_the_letter_is_the_answer() -> None:
    row = only(LONG_V2)
    assert (row.id, row.task, row.domains) == ("66f3", "multiple-choice", ("Single-Document QA",))
    assert row.request.question == QUESTION
    assert [document.text for document in row.request.documents] == [BUILT]
    assert [row.quality(text) for text in ("The correct answer is (A).", "(B)", "A or B")] == [1, 0, 0]


def test_questions_on_equal_texts_are_one_source() -> None:
    assert only(LONG_V2).source == only(LONG_V2 | {"question": "When?"}).source


def test_the_answer_of_mmlu_is_the_index_of_a_choice() -> None:
    row = only(MMLU_ROW)
    assert (row.references, row.metric, row.domains) == (("B",), "choice", ("algebra",))
    assert row.request.question is not None
    assert "(B) 2\n" in row.request.question
    assert only(MMLU_ROW | {"answer": 1.0}) == row, "pandas saves a column with nulls so"


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (LONG_V2 | {"answer": "E"}, "answer: must be one of A, B, C, D, is 'E'"),
        (LONG_V2 | {"answer": 1}, "answer: must be a text, is a number"),
        (LONG_V2 | {"choice_C": None}, "choice_C: is null"),
        (LONG_V2 | {"context": ["a"]}, "context: must be a text, is a list"),
        (MMLU_ROW | {"answer": 4}, "answer: must be the index of a choice, 0 to 3"),
        (MMLU_ROW | {"answer": "B"}, "answer: must be the index of a choice, 0 to 3, is a text"),
        (MMLU_ROW | {"choices": ["a"]}, "choices: must be 4 texts, are 1"),
        (MMLU_ROW | {"choices": [1, 2, 3, 4]}, r"choices\[0\]: must be a text, is a number"),
    ],
)
def test_a_bad_record_is_named_by_its_column(record: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRecord, match=message):
        only(record)
