"""GSM8K: the final number of the solution is the reference."""

import pytest

from data_questions import GSM8K_ROW, only
from laserve.lab.data.shapes.base import BadRecord


def test_the_final_number_of_a_solution_is_the_reference() -> None:
    row = only(GSM8K_ROW)
    assert (row.references, row.metric, row.task) == (("72",), "final_number", "math")
    assert row.request.prompt == row.source == GSM8K_ROW["question"]
    assert [row.quality(text) for text in ("so 72.0", "It is $72.", "24 and 48", "none")] == [1, 1, 0, 0]


def test_a_socratic_solution_ends_alike() -> None:
    answer = "How many in May? ** 48/2 = <<48/2=24>>24\nHow many in all? ** 72,000\n#### 72,000"
    assert only(GSM8K_ROW | {"answer": answer}).references == ("72,000",)


@pytest.mark.parametrize("answer", ["#### 2 Parts\nIt has two.", "see #### 5"])
def test_a_heading_in_an_answer_is_no_final_number(answer: str) -> None:
    assert only(GSM8K_ROW | {"answer": answer}).references == (answer,)


def test_a_solution_without_a_number_at_its_end_is_refused() -> None:
    with pytest.raises(BadRecord, match="answer: must end with #### and a number"):
        only(GSM8K_ROW | {"answer": "24\n#### unknown"})
