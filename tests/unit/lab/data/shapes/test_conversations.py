"""Conversations: lists of messages, and transcripts."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laserve.lab.data.shapes.base import BadRecord, Unusable
from laserve.lab.data.shapes.conversations import (
    NO_ANSWER,
    PARTS,
    TOOLS,
    answered,
    messages_in,
    transcript,
    transcript_prompt,
    turns_of,
)
from laserve.types import Message

SPEAKERS = {"user": "Human", "assistant": "Assistant"}
MARKERS = ("Human:", "Assistant:")


def pairs(turns: Sequence[Message]) -> list[tuple[str, str]]:
    return [(turn.role, turn.content) for turn in turns]


# transcripts

contents = st.text(max_size=40).map(str.strip).filter(lambda text: not any(one in text for one in MARKERS))
conversations = st.lists(contents, min_size=2, max_size=6).map(
    lambda texts: [("user" if not index % 2 else "assistant", text) for index, text in enumerate(texts)]
)


@given(turns=conversations, before=st.sampled_from(["", "\n\n", " \n\n\n", "\t"]))
def test_turns_that_are_written_as_a_transcript_are_read_back(
    turns: list[tuple[str, str]], before: str
) -> None:
    written = before + "\n\n".join(f"{SPEAKERS[role]}: {content}" for role, content in turns)
    assert pairs(transcript(written)) == turns


@given(text=st.text(max_size=60))
def test_a_text_without_marks_of_turns_is_no_transcript(text: str) -> None:
    if not any(mark in text for mark in MARKERS):
        assert transcript(text) == transcript_prompt(text) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n\nHuman: hi\n\nAssistant: yes", [("user", "hi"), ("assistant", "yes")]),
        ("Human:hi\n\nAssistant:yes", [("user", "hi"), ("assistant", "yes")]),
        ("\r\n\r\nHuman: hi\r\n\r\nAssistant: yes\r\n", [("user", "hi"), ("assistant", "yes")]),
        ("\n\n Human: hi\n \n\n\n Assistant:  yes", [("user", "hi"), ("assistant", "yes")]),
        ("Human: hi\nAssistant: yes\nHuman: so?", [("user", "hi"), ("assistant", "yes"), ("user", "so?")]),
        ("Human: hi\n\nAssistant:", [("user", "hi"), ("assistant", "")]),
        (
            "Be kind.\n\nHuman: hi\n\nAssistant: yes",
            [("system", "Be kind."), ("user", "hi"), ("assistant", "yes")],
        ),
        ("Human: hi\n\nAssistant: say\nHuman: no", [("user", "hi"), ("assistant", "say\nHuman: no")]),
        (
            "Human: hi\n\nAssistant: a\n\nHuman rights: b",
            [("user", "hi"), ("assistant", "a\n\nHuman rights: b")],
        ),
        ("Human: hi", [("user", "hi")]),
        ("what is 1 + 1?", []),
        ("a Human: b", []),
        ("a\n\nHuman: b", []),
        ("", []),
    ],
)
def test_a_transcript_is_read_as_turns_whatever_its_white_space(
    text: str, expected: list[tuple[str, str]]
) -> None:
    assert pairs(transcript(text)) == expected


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (
            "Human: a pen?\n\nAssistant: which one?\n\nHuman: the\n\nred one\n\nAssistant:",
            [("user", "a pen?"), ("assistant", "which one?"), ("user", "the\n\nred one")],
        ),
        ("\n\nHuman: hi", [("user", "hi")]),
        ("Be kind.\n\nHuman: hi\n\nAssistant:", [("system", "Be kind."), ("user", "hi")]),
        ("Sum it up:\n\nHuman: hi\n\nAssistant: yes", []),
        ("Assistant: hi", []),
        ("what is 1 + 1?", []),
        ("a Human: b", []),
        ("", []),
    ],
)
def test_a_prompt_is_a_transcript_if_it_starts_with_the_human_or_leaves_the_answer_open(
    prompt: str, expected: list[tuple[str, str]]
) -> None:
    assert pairs(transcript_prompt(prompt)) == expected


# messages


@pytest.mark.parametrize(
    "value",
    [
        [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}],
        [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yes"}],
        '[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]',
        [
            {"role": "user", "content": [{"type": "text", "text": "hi", "image": None}], "tool_calls": None},
            {"role": "assistant", "content": [{"type": None, "text": "yes", "image": ""}]},
        ],
    ],
)
def test_messages_are_read_in_each_of_their_forms(value: object) -> None:
    assert pairs(turns_of({"chosen": value}, "chosen")) == [("user", "hi"), ("assistant", "yes")]


def test_one_message_stands_for_a_list_of_one_and_a_developer_is_the_system() -> None:
    value = {"role": "developer", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    assert pairs(turns_of({"prompt": value}, "prompt")) == [("system", "a\nb")]


@pytest.mark.parametrize(
    "value",
    [
        "hi",
        '["hi"]',
        '[{"role": "admin", "content": "x"}]',
        '{"name": "x"}',
        "[" * 100_000,
        [],
        ["a"],
        3,
        None,
    ],
)
def test_other_values_are_no_messages_though_they_be_json(value: object) -> None:
    assert messages_in(value) is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "chosen: is null"),
        ([], "chosen: is an empty list"),
        ("hi", "chosen: must be a list of messages, each with role and content, is a text"),
        ([{"role": "user", "content": "a"}, "b"], r"chosen\[1\]: must be a message .*, is a text"),
        ([{"role": "narrator", "content": "a"}], r"chosen\[0\].role: must be system, .*, is 'narrator'"),
        ([{"role": ["user"], "content": "a"}], r"chosen\[0\].role: must be system, .*, is a list"),
        ([{"content": "a"}], r"chosen\[0\].role: must be system, user or assistant, is null"),
        ([{"role": "user"}], r"chosen\[0\].content: must be a text or a list of parts .*, is null"),
        ([{"role": "user", "content": []}], r"chosen\[0\].content: must be .*, is an empty list"),
        ([{"role": "user", "content": ["a"]}], r"chosen\[0\].content\[0\]: must be a part .*, is a text"),
        ([{"role": "user", "content": [{"type": "text"}]}], r"chosen\[0\].content\[0\].text: must be a text"),
    ],
)
def test_a_bad_message_is_named(value: object, said: str) -> None:
    with pytest.raises(BadRecord, match=said):
        turns_of({"chosen": value}, "chosen")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"role": "tool", "content": "4"}, TOOLS),
        ({"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}, TOOLS),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, PARTS),
        ({"role": "user", "content": [{"type": "text", "text": "a", "image": "x.png"}]}, PARTS),
    ],
)
def test_messages_of_tools_and_images_cannot_be_used(message: dict[str, object], reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        turns_of({"prompt": [message]}, "prompt")


def test_a_conversation_must_end_with_an_answer_to_a_user() -> None:
    user, answer = Message(role="user", content="hi"), Message(role="assistant", content="yes")
    assert answered((user, answer), "chosen") == ((user,), "yes")
    with pytest.raises(Unusable, match=NO_ANSWER):
        answered((user, answer, user), "chosen")
    with pytest.raises(BadRecord, match="chosen: holds no user's message before the answer"):
        answered((answer,), "chosen")
