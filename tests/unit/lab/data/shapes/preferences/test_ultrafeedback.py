"""UltraFeedback, as published and as pairs."""

from typing import Any

import pytest

from data_pairs import (
    ARGILLA,
    ARGILLA_FIRST,
    ASK,
    BAD,
    BEFORE,
    BINARIZED,
    CHOSEN,
    GOOD,
    REJECTED,
    ULTRAFEEDBACK,
    USER,
    completion,
    refusal,
    turns,
)
from data_questions import only
from laserve.lab.data.row import PREFERENCE, REWARD


def test_a_completion_s_quality_is_its_mean_rating_mapped_to_0_1() -> None:
    row = only(ULTRAFEEDBACK)
    assert (row.texts, row.qualities) == ((BAD, GOOD, "Thorn."), (0.0, 1.0, 0.75))
    assert (row.models, row.domains) == (("alpaca-7b", "gpt-4", "pythia-12b"), ("evol_instruct",))
    assert (turns(row), row.metric, row.source) == ([("user", ASK)], REWARD, ASK)


def test_where_a_mean_rating_is_missing_the_overall_scores_of_all_completions_count() -> None:
    given = [completion(BAD, None, 1.0, "a"), completion(GOOD, 2.0, 10.0, "b")]
    assert only(ULTRAFEEDBACK | {"completions": given}).qualities == (0.0, 1.0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"completions": []}, "no answers"),
        ({"completions": "x"}, "completions: must be a list, is a text"),
        ({"completions": ["x"]}, "completions[0]: must be an object, is a text"),
        ({"completions": [{"response": "x"}]}, "completions[0].overall_score: is missing"),
        (
            {"completions": [completion("x", 7.0, 1.0, "a")]},
            "completions[0].fine-grained_score: must be a number from 1",
        ),
        (
            {"completions": [completion("x", 2.0, 1.0, "a") | {"response": None}]},
            "completions[0].response: is null",
        ),
        ({"source": 3}, "source: must be a text"),
    ],
)
def test_a_bad_record_of_ultrafeedback_says_why(changes: dict[str, Any], said: str) -> None:
    assert refusal(ULTRAFEEDBACK | changes).startswith(said)


def test_the_messages_of_a_binarized_pair_which_repeat_the_answer_are_no_request() -> None:
    row = only(BINARIZED)
    assert (turns(row), row.texts, row.qualities) == ([("user", ASK)], (GOOD, BAD), (1.0, 0.0))
    assert (row.metric, row.id) == (PREFERENCE, "7")


@pytest.mark.parametrize("record", [ARGILLA, ARGILLA | {"chosen": GOOD, "rejected": BAD}, ARGILLA_FIRST])
def test_argilla_s_pairs_are_read_alike(record: dict[str, Any]) -> None:
    row = only(record)
    assert (turns(row), row.texts, row.qualities) == ([("user", ASK)], (GOOD, BAD), (1.0, 0.0))
    assert (row.domains, row.source, row.metric) == (("flan_v2_cot",), ASK, PREFERENCE)


def test_argilla_s_pairs_name_their_models_where_both_are_known() -> None:
    assert only(ARGILLA).models == ("gpt-4", "alpaca-7b")
    assert only(ARGILLA_FIRST).models == ()


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (BINARIZED | {"score_rejected": 8.5}, "no answer is better than another"),
        (
            BINARIZED | {"score_rejected": 9.0},
            "score_chosen: must be above score_rejected, which is 9, is 8.5",
        ),
        (BINARIZED | {"score_rejected": "9"}, "score_rejected: must be a number"),
        (BINARIZED | {"rejected": [USER, CHOSEN]}, "both answers are equal"),
        (BINARIZED | {"rejected": None}, "rejected: is null"),
        (BINARIZED | {"rejected": [*BEFORE, REJECTED]}, "the conversations differ before the last answer"),
        (ARGILLA | {"rejected-rating": 4.75}, "no answer is better than another"),
        (ARGILLA | {"prompt": None}, "prompt: is null"),
        (ARGILLA_FIRST | {"rejected_response": None}, "rejected_response: is null"),
        (
            ARGILLA_FIRST | {"rejected_avg_rating": 5.0},
            "chosen_avg_rating: must be above rejected_avg_rating",
        ),
    ],
)
def test_a_bad_pair_of_ultrafeedback_says_why(record: dict[str, Any], said: str) -> None:
    assert refusal(record).startswith(said)
