"""Requests, documents, ids and sources of records of most shapes."""

from typing import Any

import pytest

from data_questions import DOCUMENTS, only
from laserve.lab.data.shapes.base import BadRecord, Location
from laserve.lab.data.shapes.requests import documents_of, id_of, request_of, source_of
from laserve.types import Document, Message


def test_a_question_precedes_messages_and_messages_precede_a_prompt() -> None:
    messages = [{"role": "user", "content": "hi"}]
    assert request_of({"question": "q", "messages": messages, "prompt": "p"}).question == "q"
    assert request_of({"question": None, "messages": messages, "prompt": "p"}).query == "hi"
    assert request_of({"messages": [], "prompt": "p"}).prompt == "p"


def test_messages_are_read_from_a_json_text_too() -> None:
    request = request_of({"messages": '[{"role": "user", "content": "hi"}]'})
    assert request.messages == (Message(role="user", content="hi"),)


@pytest.mark.parametrize(
    ("given", "documents"),
    [
        ({"documents": DOCUMENTS}, [("Velm", "Fish is sold at six."), ("", DOCUMENTS[1]["text"])]),
        ({"documents": ["a", "b"]}, [("", "a"), ("", "b")]),
        ({"documents": '[{"title": null, "text": "a"}]'}, [("", "a")]),
        ({"documents": []}, []),
        ({"documents": None}, []),
        ({}, []),
        ({"context": "a"}, [("", "a")]),
        ({"context": ""}, []),
        ({"documents": ["b"], "context": "a"}, [("", "b")]),
    ],
)
def test_documents_are_objects_or_texts_or_one_context(
    given: dict[str, Any], documents: list[tuple[str, str]]
) -> None:
    assert documents_of(given) == tuple(Document(title=title, text=text) for title, text in documents)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"question": "?", "documents": "plain"}, "documents: must be a list, is a text"),
        (
            {"question": "?", "documents": [3]},
            r"documents\[0\]: must be a text or {title, text}, is a number",
        ),
        ({"question": "?", "documents": [{"title": "t"}]}, r"documents\[0\]\.text: is missing"),
        ({"question": "?", "documents": [{"text": 3}]}, r"documents\[0\]\.text: must be a text, is a number"),
        ({"question": 7}, "question: must be a text, is a number"),
        ({"messages": ["hi"]}, "messages: must be a list of messages, each with role and content"),
        ({"prompt": ["hi"]}, "prompt: must be a text, is a list"),
        ({"chosen": "a"}, "has no request: question, messages or prompt"),
    ],
)
def test_a_bad_request_is_named_by_its_column(given: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRecord, match=message):
        request_of(given)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"id": "a"}, "a"),
        ({"id": 7}, "7"),
        ({"_id": "b"}, "b"),
        ({"qid": "c"}, "c"),
        ({"question_id": "d"}, "d"),
        ({"id": None, "question_id": "d"}, "d"),
        ({"id": ""}, "7"),
        ({}, "7"),
    ],
)
def test_a_record_without_an_id_has_that_of_its_line(given: dict[str, Any], name: str) -> None:
    assert id_of(given, Location(file="f", position="line 7")) == name


@pytest.mark.parametrize("value", [True, 1.5, ["a"], {"a": 1}])
def test_an_id_is_a_text_or_a_whole_number(value: object) -> None:
    with pytest.raises(BadRecord, match="id: must be a text or a whole number"):
        id_of({"id": value}, Location(file="f", position="line 7"))


def test_a_source_is_given_or_the_documents_or_the_query() -> None:
    asked = request_of({"question": "who?", "documents": DOCUMENTS})
    assert source_of({"source": "s", "metadata": {"source": "m"}}, asked) == "s"
    assert source_of({"metadata": {"source": "m"}}, asked) == "m"
    again = request_of({"question": "when?", "documents": DOCUMENTS})
    assert source_of({}, asked) == source_of({"metadata": None}, again)
    assert len(source_of({}, asked)) == 16
    assert source_of({}, request_of({"prompt": "who?"})) == "who?"


def test_half_a_surrogate_pair_has_a_source_too() -> None:
    assert only({"question": "?", "documents": ["\ud800"], "answers": ["a"]}).source


def test_a_prompt_that_is_a_transcript_is_its_turns() -> None:
    prompt = "Human: a pen?\n\nAssistant: which one?\n\nHuman: the red one\n\nAssistant:"
    roles = [turn.role for turn in request_of({"prompt": prompt}).messages]
    assert roles == ["user", "assistant", "user"]
    assert request_of({"prompt": "a Human: b"}).prompt == "a Human: b"
