"""The three forms in which a row holds answers of known quality."""

import pytest

from laserve.lab.data.answers import Answers, chosen_and_rejected, judged, read, rewarded


def test_of_a_pair_the_chosen_answer_is_first_and_of_quality_one() -> None:
    expected = Answers(texts=("yes", "no"), rewards=(1.0, 0.0))
    assert chosen_and_rejected({"rejected": "no", "chosen": "yes"}) == expected
    assert chosen_and_rejected({"responses": ["yes"]}) is None


def test_right_answers_have_quality_one_and_wrong_ones_zero() -> None:
    assert judged(["a", "b"], [False, 1]) == Answers(texts=("a", "b"), rewards=(0.0, 1.0))


def test_candidates_without_a_reward_are_left_out_and_log_probabilities_are_kept_where_all_have_one() -> None:
    candidates = [{"text": "a", "logprob": -1}, {"text": "b"}, {"text": "c", "logprob": -3}]
    known = Answers(texts=("a", "c"), rewards=(0.5, 1.0), logprobs=(-1.0, -3.0))
    assert rewarded(candidates, [0.5, None, 1]) == known
    assert rewarded(candidates, [0.5, 0.0, 1]).logprobs == ()


def test_a_row_in_several_forms_is_read_as_a_pair_before_responses_and_responses_before_candidates() -> None:
    row = {"candidates": [{"text": "a"}], "rewards": [0.5], "responses": ["b"], "correct": [True]}
    assert read({"chosen": "c", "rejected": "d", **row}).texts == ("c", "d")
    assert read(row).texts == ("b",)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"chosen": "a"}, "rejected"),
        ({"chosen": "a", "rejected": None}, "an answer is a text, not NoneType"),
        ({"responses": ["a"], "correct": []}, "zip"),
        ({"candidates": [{"text": "a"}], "rewards": [1.5]}, r"rewards must be in 0\.\.1"),
        ({"candidates": [{}], "rewards": [1]}, "text"),
        ({}, "candidates"),
    ],
)
def test_a_row_of_another_form_is_refused(row: dict[str, object], said: str) -> None:
    with pytest.raises((KeyError, TypeError, ValueError), match=said):
        read(row)
