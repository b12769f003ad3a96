"""Votes of Chatbot Arena."""

import json
from typing import Any

import pytest

from data_pairs import (
    ARENA,
    ARENA_33K,
    ARENA_55K,
    ASK,
    BAD,
    BEFORE,
    CHOSEN,
    GOOD,
    REJECTED,
    parts,
    refusal,
    turns,
)
from data_questions import only
from laserve.lab.data.row import PREFERENCE
from laserve.lab.data.shapes.preferences.arena import CRITERIA

LONG = {"conversation_a": [*BEFORE, REJECTED], "conversation_b": [*BEFORE, CHOSEN]}
IMAGE = [{"type": "image", "text": None, "image": "x.png", "mimeType": "image/png"}]


@pytest.mark.parametrize(
    ("winner", "qualities"),
    [
        ("model_a", (1.0, 0.0)),
        ("model_b", (0.0, 1.0)),
        ("tie", (0.5, 0.5)),
        ("both_bad", (0.5, 0.5)),
        ("tie (bothbad)", (0.5, 0.5)),
    ],
)
@pytest.mark.parametrize("record", [ARENA, ARENA_33K])
def test_a_vote_is_a_pair_and_a_tie_is_a_half_each(
    record: dict[str, Any], winner: str, qualities: tuple[float, float]
) -> None:
    row = only(record | {"winner": winner})
    assert (row.texts, row.qualities, row.metric) == ((BAD, GOOD), qualities, PREFERENCE)
    assert (turns(row), row.models) == ([("user", ASK)], ("small", "large"))


def test_votes_of_one_session_are_one_source_and_otherwise_votes_on_one_request() -> None:
    assert only(ARENA).source == "s1"
    assert only(ARENA_33K).source == ASK


@pytest.mark.parametrize(
    "conversations", [LONG, {column: json.dumps(value) for column, value in LONG.items()}]
)
def test_the_turns_before_the_last_answer_are_the_request(conversations: dict[str, Any]) -> None:
    assert turns(only(ARENA | conversations))[1:] == [
        ("user", "Hello."),
        ("assistant", "Good day."),
        ("user", ASK),
    ]


@pytest.mark.parametrize(
    ("changes", "domains"),
    [
        ({}, ("is_code", "math_prompt", "hard_prompt", "english")),
        ({"language": "pl", "is_code": False, "category_tag": None}, ("not_english",)),
        ({"language": "unknown", "is_code": None, "category_tag": "math"}, ()),
        ({"language": None, "is_code": "yes", "category_tag": {"math_v0.1": {"math": "yes"}}}, ()),
        (
            {
                "category_tag": {
                    "a": {"creative_writing": True},
                    "b": {"if": True},
                    "c": dict.fromkeys(CRITERIA[:5], True),
                }
            },
            ("is_code", "if_prompt", "creative_writing", "english"),
        ),
    ],
)
def test_domains_are_those_of_the_tags(changes: dict[str, Any], domains: tuple[str, ...]) -> None:
    assert only(ARENA | changes).domains == domains


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"winner": "model_c"},
            "winner: must be one of model_a, model_b, tie, tie (bothbad), both_bad, is 'model_c'",
        ),
        ({"winner": None}, "winner: is null"),
        ({"model_a": None}, "model_a: is missing, but model_b is there"),
        ({"conversation_a": None}, "conversation_a: is null"),
        ({"conversation_a": "hello"}, "conversation_a: must be a list of messages"),
        ({"conversation_a": ARENA["conversation_b"]}, "both answers are equal"),
        (
            LONG | {"conversation_a": [*BEFORE[1:], REJECTED]},
            "the conversations differ before the last answer",
        ),
        ({"conversation_a": [{"role": "user", "content": IMAGE}]}, "a message holds other parts than texts"),
        ({"conversation_a": [{"role": "user", "content": parts(ASK)}]}, "the conversation does not end with"),
    ],
)
def test_a_bad_vote_says_why(changes: dict[str, Any], said: str) -> None:
    assert refusal(ARENA | changes).startswith(said)


# 55k


@pytest.mark.parametrize(
    ("winners", "qualities"), [((1, 0, 0), (1.0, 0.0)), ((0, 1, 0), (0.0, 1.0)), ((0, 0, 1), (0.5, 0.5))]
)
def test_a_vote_of_55k_names_its_winner_in_one_of_three_columns(
    winners: tuple[int, int, int], qualities: tuple[float, float]
) -> None:
    columns = dict(zip(("winner_model_a", "winner_model_b", "winner_tie"), winners, strict=True))
    row = only(ARENA_55K | columns)
    assert (row.texts, row.qualities, row.models) == ((GOOD, BAD), qualities, ("small", "large"))
    assert (row.id, turns(row)) == ("30192", [("user", ASK)])


def test_the_lists_of_55k_hold_a_text_for_each_turn() -> None:
    row = only(
        ARENA_55K
        | {
            "prompt": json.dumps(["Hello.", ASK]),
            "response_a": json.dumps(["Good day.", GOOD]),
            "response_b": ["Good day.", BAD],
        }
    )
    assert (turns(row)[1:], row.texts) == ([("assistant", "Good day."), ("user", ASK)], (GOOD, BAD))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prompt": '["a", "b"]'}, "response_a: must have a text for each of the 2 prompts, has 1"),
        ({"prompt": "a"}, "prompt: must be a list, is a text"),
        ({"prompt": "[]", "response_a": "[]"}, "response_a: must have a text for each of the 0 prompts"),
        ({"response_b": "[3]"}, "response_b[0]: must be a text, is a number"),
        ({"response_b": "[null]"}, "the conversation does not end with an answer"),
        ({"response_b": json.dumps([GOOD])}, "both answers are equal"),
        (
            {"winner_tie": 1},
            "winner_model_a: of winner_model_a, winner_model_b, winner_tie one must be 1, 2 are",
        ),
        ({"winner_tie": None}, "winner_tie: is null"),
        ({"winner_model_b": "x"}, "winner_model_b: must be true, false, 1 or 0, is a text"),
    ],
)
def test_a_bad_vote_of_55k_says_why(changes: dict[str, Any], said: str) -> None:
    assert refusal(ARENA_55K | changes).startswith(said)
