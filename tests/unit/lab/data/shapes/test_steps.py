"""PRM800K, Math-Shepherd and TRL's stepwise form: judged steps become answers of known quality."""

from typing import Any

import pytest

from data_questions import PRM, SHEPHERD, STEPS, made, only
from laserve.lab.data.row import Row
from laserve.lab.data.shapes.base import BadRecord, LeftOut
from laserve.lab.data.shapes.known import shape_of

FIRST, SECOND, THIRD = PRM["label"]["steps"]


def prm(*steps: Any, **label: Any) -> dict[str, Any]:
    return PRM | {"label": {"steps": list(steps), "finish_reason": "solution"} | label}


def rows_of(record: dict[str, Any]) -> list[Row]:
    rows = made(record)
    assert not isinstance(rows, LeftOut)
    return rows


# PRM800K


def test_each_step_with_two_judged_completions_is_a_row() -> None:
    first, third = rows_of(PRM)
    assert [row.id for row in (first, third)] == ["7.1", "7.3"]
    assert first.texts == ("First multiply.", "First add.")
    assert (first.qualities, third.qualities) == ((1.0, 0.0), (0.5, 1.0))
    assert first.request.prompt == first.source == third.source == "What is 2 + 3 * 4?"
    assert (first.metric, first.task, first.position) == ("reward", "math", "line 7")


def test_an_answer_is_the_solution_so_far_with_the_human_s_step_where_none_was_chosen() -> None:
    _, third = rows_of(PRM)
    before = "First multiply.\n3 * 4 = 12."
    assert third.texts == (f"{before}\nNow the sum.", f"{before}\n2 + 12 = 14.")


def test_a_human_s_step_may_be_a_text() -> None:
    _, third = rows_of(prm(FIRST, SECOND | {"human_completion": "3 * 4 = 12."}, THIRD))
    assert third.texts[0] == "First multiply.\n3 * 4 = 12.\nNow the sum."


def test_a_solution_ends_where_nothing_was_chosen() -> None:
    ended = FIRST | {"chosen_completion": None}
    assert [row.id for row in rows_of(prm(ended, SECOND, THIRD))] == ["7.1"]
    assert len(rows_of(prm(FIRST, {"completions": None}, THIRD))) == 1


def test_a_record_without_a_step_to_compare_is_left_out() -> None:
    left_out = LeftOut(reason="PRM800K: no step with two completions of known rating")
    assert made(prm(SECOND)) == left_out
    assert made(prm()) == left_out
    assert made(prm(FIRST, finish_reason="bad_problem")) == LeftOut(reason="PRM800K: bad_problem")


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            {"completions": [{"text": "a", "rating": 2}]},
            r"label\.steps\[0\]\.completions\[0\]\.rating: must be",
        ),
        ({"completions": [{"rating": 1}]}, r"label\.steps\[0\]\.completions\[0\]\.text: is missing"),
        ({"completions": [{"text": "a", "rating": [1]}]}, r"rating: must be -1, 0, 1 or null"),
        (
            FIRST | {"chosen_completion": 3},
            r"steps\[0\]\.chosen_completion: must be the index of one of the 3",
        ),
        ("a", r"label\.steps\[0\]: must be an object, is a text"),
    ],
)
def test_a_bad_step_is_named_by_its_path(step: Any, message: str) -> None:
    with pytest.raises(BadRecord, match=message):
        made(prm(step))


# Math-Shepherd


def test_a_solution_of_math_shepherd_is_right_if_each_step_is() -> None:
    row = only(SHEPHERD)
    assert row.request.prompt == row.source == "Ada has 3 clocks and buys 2. How many?"
    assert row.texts == ("Step 1: 3 + 2 = 5.\nStep 2: The answer is: 5",)
    assert (row.qualities, row.metric, row.task, row.domains) == ((1.0,), "correctness", "math", ("GSM8K",))
    assert only(SHEPHERD | {"label": SHEPHERD["label"].replace("5. +", "5. -")}).qualities == (0.0,)


def test_a_sign_before_the_first_step_does_not_count() -> None:
    row = only({"input": "How many? ки Step 1: 5 ки", "label": "How many? - Step 1: 5 +"})
    assert (row.request.prompt, row.texts, row.qualities) == ("How many?", ("Step 1: 5",), (1.0,))


def test_a_solution_that_is_not_divided_from_its_problem_is_left_out() -> None:
    left_out = LeftOut(reason="Math-Shepherd: no step 1 after the problem")
    assert made({"input": "How many? 5 ки", "label": "How many? 5 +"}) == left_out


@pytest.mark.parametrize("label", ["another text", SHEPHERD["input"], SHEPHERD["label"] + " +"])
def test_a_label_of_another_text_is_refused(label: str) -> None:
    with pytest.raises(BadRecord, match="label: must be the text of input with \\+ or - for each ки"):
        made(SHEPHERD | {"label": label})


# TRL


def test_a_stepwise_solution_is_right_if_each_step_is() -> None:
    row = only(STEPS)
    assert (row.request.prompt, row.texts) == ("1 + 2 + 3?", ("1 + 2 = 3.\n3 + 3 = 7.",))
    assert (row.qualities, row.metric) == ((0.0,), "correctness")
    assert only(STEPS | {"labels": [1, True]}).qualities == (1.0,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": [True]}, "labels: must have an entry for each of the 2 steps, has 1"),
        ({"labels": [True, 0.5]}, r"labels\[1\]: must be true, false, 1 or 0, is 0.5"),
        ({"completions": [], "labels": []}, "completions: is empty"),
        ({"completions": [1, 2]}, r"completions\[0\]: must be a text, is a number"),
        ({"prompt": None}, "has no request"),
    ],
)
def test_a_bad_stepwise_record_is_named_by_its_column(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRecord, match=message):
        made(STEPS | changes)


@pytest.mark.parametrize("record", [SHEPHERD, STEPS])
def test_solutions_of_one_problem_are_joined(record: dict[str, Any]) -> None:
    assert shape_of(record).joined
