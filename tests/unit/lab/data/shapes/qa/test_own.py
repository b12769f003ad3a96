"""Questions with right answers, and requests without answers."""

from typing import Any

import pytest

from data_questions import BUILT, DOCUMENTS, OWN, made, only
from laserve.lab.data.shapes.base import BadRecord, LeftOut
from laserve.lab.data.shapes.known import shape_of


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


@pytest.mark.parametrize("documents", [{}, {"documents": None}, {"documents": []}])
def test_a_context_is_one_document(documents: dict[str, Any]) -> None:
    row = only({"question": "who?", "context": BUILT, "answers": ["Ada Thorn"], **documents})
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


@pytest.mark.parametrize("column", ["answers", "answer"])
def test_a_prompt_or_messages_may_be_the_request_of_right_answers(column: str) -> None:
    turns = [{"role": "user", "content": "who?"}]
    for request in ({"prompt": "who?"}, {"prompt": turns}, {"messages": turns}):
        row = only({**request, column: ["Ada", "Thorn"]})
        assert (row.references, row.metric, row.request.query) == (("Ada", "Thorn"), "f1", "who?")
    assert made({"prompt": "who?", "answers": []}) == LeftOut(reason="no right answers")
    assert only({"prompt": "who?", "answer": None}).references == ()


@pytest.mark.parametrize(
    ("column", "choices"),
    [
        ("options", ["a", "b", "c"]),
        ("options", '["a", "b"]'),
        ("options", {"A": "a", "B": "b"}),
        ("choices", {"text": ["a", "b"], "label": ["A", "B"]}),
        ("B", "the second one"),
        ("option_b", "the second one"),
    ],
)
def test_an_answer_that_names_one_of_some_choices_is_refused(column: str, choices: object) -> None:
    with pytest.raises(BadRecord, match=f"{column}: is not read beside"):
        only({"question": "which?", column: choices, "answer": "B"})


@pytest.mark.parametrize("column", ["messages", "prompt"])
@pytest.mark.parametrize("role", ["system", "assistant"])
def test_messages_without_a_user_are_no_request(column: str, role: str) -> None:
    with pytest.raises(BadRecord, match=f"{column}: holds no user's message"):
        only({column: [{"role": role, "content": "hi"}]})


def test_a_system_message_is_a_part_of_the_request() -> None:
    for request in ({"prompt": "hi"}, {"question": "hi", "answer": "hello"}):
        turns = only(request | {"system": "be kind"}).request.messages
        assert [(turn.role, turn.content) for turn in turns] == [("system", "be kind"), ("user", "hi")]


@pytest.mark.parametrize(
    ("record", "unread"),
    [
        ({"id": 1, "prompt": "a?", "task": "chat", "source": "s", "metadata": {}, "system": "b"}, []),
        ({"prompt": "a?", "response": "x", "label": 1, "score": None}, ["response", "label"]),
        ({"prompt": "a?", "context": "c", "answers": ["x"]}, ["context"]),
        ({"question": "a?", "context": "c", "answer": "x", "system": "b"}, ["system"]),
        ({"question": "a?", "answers": ["x"], "answer": "y", "prompt": "z"}, ["answer", "prompt"]),
        ({"question": "a?", "documents": ["d"], "context": "c"}, ["context"]),
        ({"question": "a?", "documents": [], "context": "c", "tools": {}}, []),
        (
            {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
            ["the answer at the end of messages"],
        ),
        ({"prompt": "Human: a\n\nAssistant:"}, []),
    ],
)
def test_columns_that_are_not_read_are_known(record: dict[str, Any], unread: list[str]) -> None:
    assert shape_of(record).unread(record) == unread


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
