"""Right and wrong answers, and candidates with rewards as the export writes them."""

from typing import Any

import pytest

from data_questions import EXPORTED, SOLVED, only
from laserve.lab.data import needs
from laserve.lab.data.shapes.base import BadRecord
from laserve.types import Message

# right and wrong answers


def test_right_answers_have_quality_one_and_wrong_ones_zero() -> None:
    row = only(SOLVED)
    assert (row.texts, row.qualities) == (("2", "3", "11", "two"), (1.0, 0.0, 0.0, 1.0))
    assert (row.id, row.metric, row.request.prompt, row.source) == ("s1", "correctness", "1 + 1?", "1 + 1?")
    assert only(SOLVED | {"correct": [1, 0, 0.0, 1.0]}).qualities == row.qualities


def test_right_and_wrong_answers_belong_to_the_domain_of_their_file() -> None:
    row = only(SOLVED, file="gsm8k")
    assert (row.domains, row.task, row.models) == (("gsm8k",), None, ())


def test_right_and_wrong_answers_may_name_domain_models_and_source() -> None:
    row = only(SOLVED | {"domain": "math", "models": ["a", "b", "a", "b"], "source": "exam"})
    assert (row.domains, row.task, row.models) == (("math",), "math", ("a", "b", "a", "b"))
    assert row.source == "exam"


def test_a_transcript_becomes_turns_here_too() -> None:
    row = only(SOLVED | {"prompt": "Human: hi\n\nAssistant:"})
    assert row.request.messages == (Message(role="user", content="hi"),)


def test_lists_may_be_json_texts() -> None:
    row = only({"prompt": "?", "responses": '["2", "3"]', "correct": "[true, false]"})
    assert (row.texts, row.qualities) == (("2", "3"), (1.0, 0.0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"correct": [True]}, "correct: must have an entry for each of the 4 answers, has 1"),
        ({"correct": [0.5, 1, 0, 1]}, r"correct\[0\]: must be true, false, 1 or 0, is 0.5"),
        ({"correct": ["yes", 1, 0, 1]}, r"correct\[0\]: must be true, false, 1 or 0, is a text"),
        ({"correct": None}, "correct: is null"),
        ({"responses": "2"}, "responses: must be a list, is a text"),
        ({"responses": ["2", None, "3", "4"]}, r"responses\[1\]: is null"),
        ({"models": ["a"]}, "models: must have an entry for each of the 4 answers, has 1"),
        ({"domain": 3}, "domain: must be a text, is a number"),
        ({"prompt": None}, "has no request"),
    ],
)
def test_a_bad_row_of_answers_is_named_by_its_column(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRecord, match=message):
        only(SOLVED | changes)


def test_answers_without_correct_are_named_and_not_read_as_a_request_alone() -> None:
    with pytest.raises(BadRecord, match="correct: is missing"):
        only({"prompt": "x", "responses": ["a", "b"]})
    for column in ("correct", "rewards"):
        with pytest.raises(BadRecord, match=f"has the columns prompt, {column}, which"):
            only({"prompt": "x", column: "a"})


# candidates with rewards


def test_candidates_without_a_reward_are_left_out() -> None:
    row = only(EXPORTED)
    assert (row.texts, row.qualities, row.logprobs) == (("Ada", "Ada Thorn"), (0.5, 1.0), (-1.5, -2.5))
    assert (row.id, row.task, row.source) == ("d1", "chat", "article 7")
    assert [document.title for document in row.request.documents] == ["Velm", ""]


def test_log_probabilities_are_kept_where_all_have_one() -> None:
    candidates = [{"text": "a", "logprob": -1}, {"text": "b"}, {"text": "c", "logprob": None}]
    row = {"prompt": "x", "candidates": candidates, "rewards": [0.5, None, 1]}
    assert only(row).logprobs == ()
    assert only(row | {"rewards": [0.5, None, None]}).logprobs == (-1.0,)


def test_the_last_references_of_feedback_are_right_answers_measured_by_its_metric() -> None:
    row = only(EXPORTED)
    assert (row.references, row.metric) == (("Ada Thorn", "Ada"), "f1")
    assert row.quality("Thorn") == pytest.approx(2 / 3)
    later = [*EXPORTED["feedback"], {"kind": "references", "value": ["Bo"], "metric": "exact_match"}]
    row = only(EXPORTED | {"feedback": later})
    assert (row.references, row.metric, row.quality("Thorn")) == (("Bo",), "exact_match", 0.0)


def test_right_answers_of_feedback_can_be_stored_answers() -> None:
    row = only(EXPORTED | {"rewards": [None, 0.0, None]}).with_reference()
    assert (row.texts, row.qualities, row.logprobs) == (("a boat", "Ada Thorn"), (0.0, 1.0), ())


@pytest.mark.parametrize("feedback", [[], None, [{"kind": "thumb", "value": 1.0}]])
def test_rewards_without_references_are_of_the_metric_reward(feedback: Any) -> None:
    row = only(EXPORTED | {"feedback": feedback})
    assert (row.references, row.metric) == ((), "reward")


def test_decisions_that_nobody_has_judged_are_requests_without_answers() -> None:
    row = only({"prompt": "x", "candidates": [{"text": "a"}, {"text": "b"}], "rewards": [None, None]})
    assert row.answers == ()
    assert needs.training(row) == "fewer than two answers of known quality"
    assert needs.sampling(row) is None


def test_responses_are_read_before_candidates() -> None:
    assert only(SOLVED | {"candidates": [{"text": "a"}], "rewards": [0.5]}).texts == ("2", "3", "11", "two")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rewards": [7, 0, 0]}, r"rewards\[0\]: must be a number from 0 to 1, is 7"),
        ({"rewards": [0.5]}, "rewards: must have an entry for each of the 3 answers, has 1"),
        ({"rewards": None}, "rewards: is null"),
        ({"candidates": None}, "candidates: is null"),
        ({"candidates": [{}, {}, {}]}, r"candidates\[0\]\.text: is missing"),
        ({"feedback": [{"kind": "references", "value": []}]}, r"feedback\[0\]\.value: is empty"),
        ({"feedback": [{"kind": "references", "value": ["a"], "metric": "x"}]}, r"metric: must be one of f1"),
        ({"metadata": "plain"}, "metadata: must be an object, is a text"),
    ],
)
def test_a_bad_row_of_candidates_is_named_by_its_column(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRecord, match=message):
        only(EXPORTED | changes)
