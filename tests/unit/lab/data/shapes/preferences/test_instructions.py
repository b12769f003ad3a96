"""Pairs whose request is an instruction."""

from typing import Any

import pytest

from data_pairs import ASK, BAD, BEFORE, CHOSEN, GOOD, KTO, ORCA, OWN, REJECTED, TRL, refusal, turns
from data_questions import only

ALPACA = {"instruction": "Translate.", "input": "Uhr", "chosen": "clock", "rejected": "hour"}


def test_the_system_s_message_of_an_orca_pair_precedes_its_question() -> None:
    row = only(ORCA)
    assert turns(row) == [("system", "Be brief."), ("user", ASK)]
    assert (row.texts, row.qualities, row.source) == ((GOOD, BAD), (1.0, 0.0), ASK)
    assert turns(only(ORCA | {"system": ""})) == [("user", ASK)]


def test_an_instruction_and_its_input_are_one_turn() -> None:
    assert turns(only(ALPACA)) == [("user", "Translate.\nUhr")]
    assert turns(only(ALPACA | {"input": None})) == [("user", "Translate.")]
    assert turns(only({"system": "", "input": ASK, "chosen": GOOD, "rejected": BAD})) == [("user", ASK)]


@pytest.mark.parametrize(
    "record", [OWN, KTO, TRL, {"prompt": ASK, "chosen": [CHOSEN], "rejected": [REJECTED]}]
)
def test_a_system_s_message_in_a_column_of_its_own_is_never_lost(record: dict[str, Any]) -> None:
    assert turns(only(record | {"system": "Be brief."})) == [("system", "Be brief."), ("user", ASK)]


def test_a_system_s_message_is_not_repeated() -> None:
    conversation = {"chosen": [*BEFORE, CHOSEN], "rejected": [*BEFORE, REJECTED]}
    assert turns(only(conversation | {"system": "Be brief."})) == turns(only(conversation))


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (ORCA | {"rejected": GOOD}, "both answers are equal"),
        (ORCA | {"system": 3}, "system: must be a text, is a number"),
        (ORCA | {"chosen": None}, "chosen: is null"),
        (ALPACA | {"instruction": None, "input": None}, "instruction: is empty"),
        (ALPACA | {"instruction": 3}, "instruction: must be a text, is a number"),
    ],
)
def test_a_bad_instruction_says_why(record: dict[str, Any], said: str) -> None:
    assert refusal(record).startswith(said)
