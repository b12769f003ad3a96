"""WebGPT comparisons, SHP, PKU-SafeRLHF and Nectar."""

from typing import Any

import pytest

from data_pairs import ASK, BAD, GOOD, NECTAR, SAFE, SHP, WEB_GPT, refusal, turns
from data_questions import only
from laserve.lab.data.row import PREFERENCE, REWARD


@pytest.mark.parametrize(("score", "qualities"), [(0.5, (1.0, 0.0)), (0, (0.5, 0.5)), (-1.0, (0.0, 1.0))])
def test_the_answer_of_webgpt_whose_score_is_above_0_is_better(
    score: float, qualities: tuple[float, float]
) -> None:
    row = only(WEB_GPT | {"score_0": score, "score_1": -score})
    assert (row.texts, row.qualities, row.metric) == ((GOOD, BAD), qualities, PREFERENCE)
    assert (turns(row), row.domains) == ([("user", ASK)], ("eli5",))


@pytest.mark.parametrize(("label", "qualities"), [(1, (1.0, 0.0)), (0, (0.0, 1.0))])
def test_the_first_comment_of_shp_is_better_if_the_label_is_1(
    label: int, qualities: tuple[float, float]
) -> None:
    row = only(SHP | {"labels": label})
    assert (row.texts, row.qualities, row.metric) == ((GOOD, BAD), qualities, PREFERENCE)
    assert (turns(row), row.domains, row.source) == ([("user", ASK)], ("askculinary",), "qt3nxl")


@pytest.mark.parametrize(("better", "qualities"), [(1, (0.0, 1.0)), (0, (1.0, 0.0))])
def test_the_better_response_of_saferlhf_is_the_more_helpful_one(
    better: int, qualities: tuple[float, float]
) -> None:
    row = only(SAFE | {"better_response_id": better})
    assert (row.texts, row.qualities, row.request.prompt) == ((BAD, GOOD), qualities, ASK)


def test_qualities_of_nectar_fall_evenly_from_the_first_rank_to_the_last() -> None:
    row = only(NECTAR)
    assert (row.texts, row.qualities) == ((GOOD, "Thorn.", BAD), (1.0, 0.5, 0.0))
    assert (turns(row), row.metric) == ([("user", ASK)], REWARD)
    assert (row.models, row.source) == (("gpt-4", "llama", "anthropic"), ASK)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (WEB_GPT | {"score_0": None}, "score_0: is null"),
        (WEB_GPT | {"question": ASK}, "question: must be an object, is a text"),
        (WEB_GPT | {"question": {"dataset": "eli5"}}, "question.full_text: is missing"),
        (WEB_GPT | {"answer_1": GOOD}, "both answers are equal"),
        (SHP | {"labels": 2}, "labels: must be true, false, 1 or 0, is 2"),
        (SHP | {"history": None}, "history: is null"),
        (SAFE | {"better_response_id": -1}, "better_response_id: must be true, false, 1 or 0, is -1"),
        (SAFE | {"response_0": GOOD}, "both answers are equal"),
        (NECTAR | {"answers": NECTAR["answers"][:1]}, "fewer than two answers"),
        (
            NECTAR | {"answers": [{"answer": "a", "rank": 3}] * 2},
            "answers[0].rank: must be a number from 1 to 2",
        ),
        (NECTAR | {"answers": [{"answer": "a", "rank": 1}, "b"]}, "answers[1]: must be an object, is a text"),
    ],
)
def test_a_bad_record_of_these_sets_says_why(record: dict[str, Any], said: str) -> None:
    assert refusal(record).startswith(said)
