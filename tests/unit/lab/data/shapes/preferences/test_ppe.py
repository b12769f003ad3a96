"""PPE's human preferences and best-of-K sets."""

import json
from typing import Any

import pytest

from data_pairs import ASK, BAD, BEFORE, BEST_OF, CHOSEN, GOOD, PPE, REJECTED, refusal, turns
from data_questions import only
from laserve.lab.data.row import CORRECTNESS, PREFERENCE


@pytest.mark.parametrize(
    ("winner", "qualities"),
    [
        ("model_a", (1.0, 0.0)),
        ("model_b", (0.0, 1.0)),
        ("tie", (0.5, 0.5)),
        ("tie (bothbad)", (0.5, 0.5)),
    ],
)
def test_human_preferences_are_known_by_their_columns(winner: str, qualities: tuple[float, float]) -> None:
    row = only(PPE | {"winner": winner})
    assert (row.texts, row.qualities, row.metric) == ((BAD, GOOD), qualities, PREFERENCE)
    assert (row.id, row.request.prompt, row.source) == ("q1", ASK, ASK)
    assert (row.models, row.domains) == (("small", "large"), ("hard_prompt", "is_code"))


def test_models_and_domains_of_human_preferences_are_optional() -> None:
    row = only({"prompt": ASK, "response_1": GOOD, "response_2": BAD, "winner": "tie"})
    assert (row.id, row.models, row.domains) == ("7", (), ())


@pytest.mark.parametrize("written", [json.dumps, lambda value: value])
def test_prompts_and_responses_may_be_conversations_also_as_json_texts(written: Any) -> None:
    expected = [(message["role"], message["content"]) for message in BEFORE]
    responses = {"response_1": written([REJECTED]), "response_2": written([*BEFORE, CHOSEN])}
    row = only(PPE | {"prompt": written(BEFORE)} | responses)
    assert (turns(row), row.texts) == (expected, (BAD, GOOD))
    row = only(BEST_OF | {"prompt": written(BEFORE), "response_2": written(REJECTED)})
    assert (turns(row), row.texts) == (expected, (GOOD, BAD, "Nobody."))


def test_flags_of_domains_may_be_texts_or_numbers() -> None:
    flags = {
        "hard_prompt": "False",
        "easy_prompt": "True",
        "if_prompt": 1.0,
        "is_code": None,
        "math_prompt": 0,
    }
    assert only(PPE | flags).domains == ("easy_prompt", "if_prompt")


def test_a_transcript_becomes_turns_here_too() -> None:
    assert turns(only(PPE | {"prompt": "Human: hi\n\nAssistant:"})) == [("user", "hi")]


@pytest.mark.parametrize("scores", [[True, False, False], [1, 0, 0], [1.0, 0.0, 0.0], "[1, 0, 0]"])
def test_best_of_k_sets_are_known_by_their_columns_whatever_the_type_of_their_scores(scores: Any) -> None:
    row = only(BEST_OF | {"scores": scores}, file="PPE-MMLU-Pro-Best-of-K")
    assert (row.texts, row.qualities, row.metric) == ((GOOD, BAD, "Nobody."), (1.0, 0.0, 0.0), CORRECTNESS)
    assert (row.domains, row.models) == (("PPE-MMLU-Pro-Best-of-K",), ("small",) * 3)


def test_the_answers_of_two_models_to_one_question_are_two_rows() -> None:
    assert only(BEST_OF).id != only(BEST_OF | {"model_name": "large"}).id
    assert only(BEST_OF | {"model_name": None}).id == "q1"


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (PPE | {"winner": "model_c"}, "winner: must be one of model_a, model_b, tie"),
        (PPE | {"response_1": None}, "response_1: is null"),
        (PPE | {"response_1": GOOD}, "both answers are equal"),
        (PPE | {"prompt": None}, "prompt: is null"),
        (PPE | {"model_a": None}, "model_a: is missing"),
        (BEST_OF | {"scores": None}, "scores: is null"),
        (BEST_OF | {"scores": [1]}, "scores: must be those of two responses or more, holds 1"),
        (BEST_OF | {"scores": [1, 0]}, "scores: must have an entry for each response: response_3 has none"),
        (BEST_OF | {"scores": [1, 0, 0, 1]}, "response_4: is missing"),
        (BEST_OF | {"scores": [1, 0, 0.5]}, "scores[2]: must be true, false, 1 or 0, is 0.5"),
        (BEST_OF | {"response_2": None}, "response_2: is null"),
        (BEST_OF | {"model_name": 3}, "model_name: must be a text"),
    ],
)
def test_a_bad_record_of_ppe_says_why(record: dict[str, Any], said: str) -> None:
    assert refusal(record).startswith(said)
