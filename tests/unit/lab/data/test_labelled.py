"""Rows of our forms and of PPE's columns."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from laserve.errors import InvalidRequest
from laserve.lab.data.labelled import Row, read_correctness, read_preferences
from laserve.types import Message

OURS = {"prompt": "say hello", "chosen": "hello", "rejected": "no"}
HUB = {
    "question_id": "q1",
    "prompt": "say hello",
    "response_1": "no",
    "response_2": "hello",
    "model_a": "small",
    "model_b": "large",
    "winner": "model_b",
    "language": "English",
    "hard_prompt": True,
    "easy_prompt": False,
    "if_prompt": False,
    "is_code": True,
    "math_prompt": False,
    "conv_metadata": {"turns": 1},
}
RIGHT = {"prompt": "1 + 1?", "responses": ["2", "3"], "correct": [True, False]}
HUB_RIGHT = {
    "question_id": "q1",
    "prompt": "1 + 1?",
    "model_name": "small",
    "response_1": "2",
    "response_2": "3",
    "response_3": "11",
    "scores": [1, 0, 0],
    "sampled_conflict_pairs": [[0, 1]],
}


def written(folder: Path, *rows: dict[str, Any], name: str = "harmless.jsonl") -> Path:
    path = folder / name
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


# preferences


def test_our_preferences_belong_to_the_domain_of_their_file(tmp_path: Path) -> None:
    (row,) = read_preferences(written(tmp_path, OURS))
    assert (row.group.texts, row.group.rewards) == (("hello", "no"), (1.0, 0.0))
    assert (row.domains, row.models, row.source) == (("harmless",), (), "say hello")


def test_our_preferences_may_name_domain_models_and_source(tmp_path: Path) -> None:
    named = {"domain": "chat", "chosen_model": "large", "rejected_model": "small", "source": "forum"}
    (row,) = read_preferences(written(tmp_path, OURS | named))
    assert (row.domains, row.models, row.source) == (("chat",), ("large", "small"), "forum")


@pytest.mark.parametrize(
    ("winner", "rewards"),
    [
        ("model_a", (1.0, 0.0)),
        ("model_b", (0.0, 1.0)),
        ("tie", (0.5, 0.5)),
        ("tie (bothbad)", (0.5, 0.5)),
    ],
)
def test_ppe_s_human_preferences_are_known_by_their_columns(
    tmp_path: Path, winner: str, rewards: tuple[float, float]
) -> None:
    (row,) = read_preferences(written(tmp_path, HUB | {"winner": winner}))
    assert (row.group.texts, row.group.rewards) == (("no", "hello"), rewards)
    assert (row.group.id, row.group.request.prompt) == ("q1", "say hello")
    assert (row.models, row.domains) == (("small", "large"), ("hard_prompt", "is_code"))


def test_a_transcript_becomes_turns_here_too(tmp_path: Path) -> None:
    (row,) = read_preferences(written(tmp_path, OURS | {"prompt": "Human: hi\n\nAssistant:"}))
    assert row.group.request.messages == (Message(role="user", content="hi"),)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"prompt": "x", "chosen": "a"}, "rejected"),
        ({"prompt": "x"}, "winner"),
        (HUB | {"winner": "model_c"}, "model_c"),
        (HUB | {"response_1": None}, "NoneType"),
        (OURS | {"chosen_model": "large"}, "come together"),
        (OURS | {"domain": 7}, "domain is a name"),
        ({"chosen": "a", "rejected": "b"}, "prompt"),
    ],
)
def test_a_bad_preference_is_named_by_file_and_line_with_what_was_expected(
    tmp_path: Path, row: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(
        InvalidRequest, match=r"harmless\.jsonl:2: needs .*chosen and rejected.*winner"
    ) as caught:
        read_preferences(written(tmp_path, OURS, row))
    assert complaint in caught.value.message


# correctness


def test_our_right_and_wrong_answers(tmp_path: Path) -> None:
    (row,) = read_correctness(written(tmp_path, RIGHT | {"models": ["a", "b"]}, name="gsm8k.jsonl"))
    assert (row.group.texts, row.group.rewards) == (("2", "3"), (1.0, 0.0))
    assert (row.domains, row.models) == (("gsm8k",), ("a", "b"))


def test_ppe_s_best_of_k_sets_are_known_by_their_columns(tmp_path: Path) -> None:
    (row,) = read_correctness(written(tmp_path, HUB_RIGHT, name="PPE-MATH-Best-of-K.jsonl"))
    assert (row.group.texts, row.group.rewards) == (("2", "3", "11"), (1.0, 0.0, 0.0))
    assert (row.domains, row.models) == (("PPE-MATH-Best-of-K",), ("small",) * 3)


def test_compressed_rows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "math.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write(json.dumps(RIGHT))
    row: Row
    (row,) = read_correctness(path)
    assert row.domains == ("math",)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"prompt": "x"}, "scores"),
        (RIGHT | {"correct": [True]}, "zip"),
        (RIGHT | {"correct": [0.5, 1]}, "right or wrong"),
        (RIGHT | {"responses": ["2"], "correct": [True]}, "two responses"),
        (RIGHT | {"models": ["a"]}, "a name for each of the 2"),
        (HUB_RIGHT | {"scores": [1, 0]}, "response_3 has no score"),
        (HUB_RIGHT | {"scores": [1, 0, 0, 1]}, "response_4"),
    ],
)
def test_a_bad_row_of_answers_is_named_by_file_and_line_with_what_was_expected(
    tmp_path: Path, row: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(
        InvalidRequest, match=r"harmless\.jsonl:2: needs .*responses and correct.*scores"
    ) as caught:
        read_correctness(written(tmp_path, RIGHT, row))
    assert complaint in caught.value.message
