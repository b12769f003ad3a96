"""Questions with right answers, and requests without answers."""

from typing import Any

import pytest

from data_questions import BUILT, DOCUMENTS, OWN, made, only
from laserve.lab.data.shapes.base import BadRecord, LeftOut


def test_a_question_is_judged_by_f1_against_the_closest_answer() -> None:
    row = only(OWN)
    assert (row.id, row.file, row.position, row.metric) == ("q1", "clocks", "line 7", "f1")
    assert (row.task, row.gold, row.answers) == ("multi-doc-qa", 1, ())
    assert row.request.question == "who built the clock?"
    assert [document.title for document in row.request.documents] == ["Velm", ""]
    assert [row.quality(text) for text in ("Ada Thorn", "Thorn", "Ada", "fish")] == [1, 1, 2 / 3, 0]


def test_a_question_without_a_task_has_none_and_one_without_an_id_is_its_line() -> None:
    row = only({name: value for name, value in OWN.items() if name not in ("id", "task")})
    assert (row.id, row.task) == ("7", None)


def test_questions_on_equal_documents_have_one_source() -> None:
    other = OWN | {"id": "q2", "question": "when?"}
    fewer = OWN | {"documents": DOCUMENTS[:1], "gold_document": None}
    assert only(OWN).source == only(other).source != only(fewer).source
    assert only(OWN | {"source": "article 7"}).source == "article 7"


@pytest.mark.parametrize("documents", [{}, {"documents": None}, {"documents": []}])
def test_a_question_without_documents_is_its_own_source(documents: dict[str, Any]) -> None:
    row = only({"question": "who?", "answers": ["Ada"], **documents})
    assert (row.request.documents, row.source, row.gold) == ((), "who?", None)


def test_a_context_is_one_document() -> None:
    row = only({"question": "who?", "context": BUILT, "answers": ["Ada Thorn"]})
    assert [document.text for document in row.request.documents] == [BUILT]


@pytest.mark.parametrize(
    ("answers", "references"),
    [
        ({"answers": ["Ada Thorn", "Thorn", "Ada Thorn"]}, ("Ada Thorn", "Thorn")),
        ({"answers": "1907"}, ("1907",)),
        ({"answers": 1907}, ("1907",)),
        ({"answers": [1907, 1908.0, 0.5]}, ("1907", "1908", "0.5")),
        ({"answers": "[0, 1]"}, ("[0, 1]",)),
        ({"answers": '["a", "b"]'}, ("a", "b")),
        ({"answers": ["a", " ", ""]}, ("a",)),
        ({"answer": "1907"}, ("1907",)),
        ({"answer": ["a", "b"]}, ("a", "b")),
        ({"answers": None, "answer": "a"}, ("a",)),
        ({"answers": ["a"], "answer": "b"}, ("a",)),
    ],
)
def test_a_text_or_a_number_is_one_right_answer_and_a_list_holds_several(
    answers: dict[str, Any], references: tuple[str, ...]
) -> None:
    assert only({"question": "?"} | answers).references == references


@pytest.mark.parametrize(
    "answers", [{"answers": []}, {"answers": None}, {"answers": ""}, {"answer": "[]"}, {"answers": [""]}]
)
def test_a_question_without_right_answers_is_left_out(answers: dict[str, Any]) -> None:
    assert made({"question": "?"} | answers) == LeftOut(reason="no right answers")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"answers": [True]}, r"answers\[0\]: must be a text or a number, is true or false"),
        ({"answers": [["a"]]}, r"answers\[0\]: must be a text or a number, is a list"),
        ({"answers": {"a": 1}}, "answers: must be a text or a number, is an object"),
        ({"answers": [float("nan")]}, r"answers\[0\]: must be a text or a number"),
        ({"question": 7}, "question: must be a text, is a number"),
        ({"documents": [3]}, r"documents\[0\]: must be a text or {title, text}"),
        ({"gold_document": 2}, "gold_document: must be the index of one of the 2 documents"),
        ({"gold_document": "Velm"}, "gold_document: must be the index of one of the 2 documents"),
        ({"task": 3}, "task: must be a text, is a number"),
    ],
)
def test_a_bad_question_is_named_by_its_column(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRecord, match=message):
        only(OWN | changes)


# requests without answers


def test_a_request_without_answers_is_a_row_without_answers() -> None:
    row = only({"id": "p1", "prompt": "say hello", "task": "chat", "source": "s"})
    assert (row.request.prompt, row.answers, row.references) == ("say hello", (), ())
    assert (row.id, row.task, row.source) == ("p1", "chat", "s")
    assert only({"question": "who?", "documents": ["a"]}).request.documents[0].text == "a"


def test_the_answer_at_the_end_of_messages_is_no_part_of_the_request() -> None:
    turns = [{"role": role, "content": role} for role in ("system", "user", "assistant", "user", "assistant")]
    row = only({"prompt": "ignored", "messages": turns})
    assert [turn.role for turn in row.request.messages] == ["system", "user", "assistant", "user"]
    assert row.source == "user"
