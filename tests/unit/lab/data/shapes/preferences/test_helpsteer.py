"""HelpSteer 2 and 3."""

import json
from pathlib import Path
from typing import Any

import pytest

from data_pairs import (
    ASK,
    BAD,
    BEFORE,
    CHOSEN,
    GOOD,
    HELPSTEER,
    HELPSTEER_COMPARED,
    HELPSTEER_THIRD,
    refusal,
    turns,
)
from data_questions import only
from laserve.lab.data.reading import read_file
from laserve.lab.data.row import PREFERENCE, REWARD

PROMPT = f"Hello.\n\n<extra_id_1>Assistant\nGood day.\n<extra_id_1>User\n{ASK}"
TURNS = [("user", "Hello."), ("assistant", "Good day."), ("user", ASK)]


@pytest.mark.parametrize(("helpfulness", "quality"), [(0, 0.0), (3, 0.75), (4.0, 1.0)])
def test_a_response_s_quality_is_its_helpfulness_divided_by_4(helpfulness: float, quality: float) -> None:
    row = only(HELPSTEER | {"helpfulness": helpfulness})
    assert (row.texts, row.qualities, row.metric, row.source) == ((GOOD,), (quality,), REWARD, ASK)


def test_marks_in_a_prompt_separate_its_turns() -> None:
    assert turns(only(HELPSTEER)) == [("user", ASK)]
    assert turns(only(HELPSTEER | {"prompt": PROMPT})) == TURNS
    assert turns(only(HELPSTEER_COMPARED | {"prompt": PROMPT})) == TURNS


def test_responses_to_one_prompt_are_joined_in_one_row(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    records = [HELPSTEER, HELPSTEER | {"response": BAD, "helpfulness": 1}]
    path.write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    (row,) = read_file(path, "train", "train").rows
    assert (row.id, row.texts, row.qualities) == ("1", (GOOD, BAD), (0.75, 0.25))


@pytest.mark.parametrize(
    ("strength", "qualities"),
    [(-3, (1.0, 0.0)), (-1, (1.0, 0.0)), (0, (0.5, 0.5)), (1, (0.0, 1.0)), (3.0, (0.0, 1.0))],
)
def test_the_first_response_is_better_where_the_strength_is_below_0(
    strength: float, qualities: tuple[float, float]
) -> None:
    second = only(HELPSTEER_COMPARED | {"preference_strength": strength})
    third = only(HELPSTEER_THIRD | {"overall_preference": strength})
    assert (second.texts, second.qualities, second.metric) == ((BAD, GOOD), qualities, PREFERENCE)
    assert (third.texts, third.qualities, third.metric) == ((GOOD, BAD), qualities, PREFERENCE)


def test_the_context_of_helpsteer_3_is_the_request_and_its_domain_the_domain() -> None:
    row = only(HELPSTEER_THIRD | {"context": BEFORE, "domain": "code", "language": "python"})
    assert turns(row) == [("system", "Be brief."), *TURNS]
    assert (row.domains, row.source) == (("code",), ASK)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (HELPSTEER | {"helpfulness": 5}, "helpfulness: must be a number from 0 to 4, is 5"),
        (HELPSTEER | {"helpfulness": [3, 4]}, "helpfulness: must be a number from 0 to 4, is a list"),
        (HELPSTEER | {"response": None}, "response: is null"),
        (HELPSTEER | {"prompt": None}, "prompt: is null"),
        (
            HELPSTEER_COMPARED | {"preference_strength": -4},
            "preference_strength: must be a number from -3 to 3",
        ),
        (HELPSTEER_COMPARED | {"preference_strength": None}, "preference_strength: is null"),
        (HELPSTEER_COMPARED | {"response_1": GOOD}, "both answers are equal"),
        (HELPSTEER_THIRD | {"context": []}, "context: is an empty list"),
        (HELPSTEER_THIRD | {"context": [CHOSEN]}, "context: holds no user's message"),
        (HELPSTEER_THIRD | {"response2": 3}, "response2: must be a text, is a number"),
        (HELPSTEER_THIRD | {"response2": GOOD}, "both answers are equal"),
    ],
)
def test_a_bad_record_of_helpsteer_says_why(record: dict[str, Any], said: str) -> None:
    assert refusal(record).startswith(said)
