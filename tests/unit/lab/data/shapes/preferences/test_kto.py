"""Single answers that people accepted or not."""

import json
from pathlib import Path
from typing import Any

import pytest

from data_pairs import ASK, BAD, BEFORE, CHOSEN, GOOD, KTO, USER, refusal, turns
from data_questions import only
from laserve.lab.data.reading import read_file
from laserve.lab.data.row import CORRECTNESS


@pytest.mark.parametrize(
    ("label", "quality"), [(True, 1.0), (False, 0.0), (1, 1.0), (0.0, 0.0), ("True", 1.0)]
)
def test_an_accepted_answer_has_quality_one_and_another_zero(label: float, quality: float) -> None:
    row = only(KTO | {"label": label})
    assert (row.texts, row.qualities, row.metric) == ((GOOD,), (quality,), CORRECTNESS)
    assert (row.request.prompt, row.source) == (ASK, ASK)


def test_answers_to_one_prompt_are_joined_in_one_row(tmp_path: Path) -> None:
    records = [KTO, KTO | {"prompt": "Who?"}, KTO | {"completion": BAD, "label": False}]
    path = tmp_path / "kto.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    first, second = read_file(path, "kto", "kto").rows
    assert (first.texts, first.qualities) == ((GOOD, BAD), (1.0, 0.0))
    assert (second.request.prompt, second.texts) == ("Who?", (GOOD,))


@pytest.mark.parametrize(
    ("prompt", "completion"), [(BEFORE, [CHOSEN]), (BEFORE, GOOD), (BEFORE, [*BEFORE, CHOSEN])]
)
def test_prompt_and_completion_may_be_messages(prompt: Any, completion: Any) -> None:
    row = only({"prompt": prompt, "completion": completion, "label": True})
    assert turns(row) == [(message["role"], message["content"]) for message in BEFORE]
    assert row.texts == (GOOD,)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (KTO | {"label": "yes"}, "label: must be true, false, 1 or 0, is a text"),
        (KTO | {"label": 0.5}, "label: must be true, false, 1 or 0, is 0.5"),
        (KTO | {"label": None}, "label: is null"),
        (KTO | {"completion": 3}, "completion: must be a text, is a number"),
        (KTO | {"prompt": None}, "prompt: is null"),
        (KTO | {"prompt": [USER], "completion": [USER]}, "the conversation does not end with an answer"),
    ],
)
def test_a_bad_record_of_kto_says_why(record: dict[str, Any], said: str) -> None:
    assert refusal(record).startswith(said)
