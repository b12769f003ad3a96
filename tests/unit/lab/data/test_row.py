"""Rows: stored answers with their qualities, and the measure of other answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import make_row
from laserve.lab.data.row import CLASSIFICATION, MEASURES, Answer


def test_log_probabilities_and_models_count_only_where_all_answers_have_one() -> None:
    named = Answer(text="a", quality=1.0, model="large", logprob=-1.0)
    assert make_row(answers=(named, named)).logprobs == (-1.0, -1.0)
    assert make_row(answers=(named, named)).models == ("large", "large")
    unnamed = Answer(text="b", quality=0.0)
    assert make_row(answers=(named, unnamed)).logprobs == ()
    assert make_row(answers=(named, unnamed)).models == ()


def test_nothing_can_be_learned_from_answers_of_one_quality() -> None:
    assert make_row(0.0, 1.0).instructive
    assert not make_row(0.5, 0.5).instructive
    assert not make_row(1.0).instructive


@pytest.mark.parametrize("metric", MEASURES)
@given(text=st.text(max_size=20), references=st.lists(st.text(max_size=20), min_size=1, max_size=3))
def test_a_sampled_answer_has_the_quality_of_its_closest_reference(
    metric: str, text: str, references: list[str]
) -> None:
    row = make_row(references=tuple(references), metric=metric)
    assert row.quality(text) == max(MEASURES[metric](text, reference) for reference in references)
    assert 0.0 <= row.quality(text) <= 1.0


def test_only_the_first_line_counts_where_the_row_says_so() -> None:
    row = make_row(references=("Ada",), metric="f1", first_line=True)
    assert row.quality("\nAda\nand more") == 1.0
    row = make_row(references=("NUM",), metric=CLASSIFICATION, classes=("NUM", "LOC"), first_line=True)
    assert row.quality("NUM\nLOC") == 1.0


def test_the_first_right_answer_becomes_a_stored_one_unless_it_is_one() -> None:
    row = make_row(0.2, texts=["a boat"], references=("Ada", "Ada Thorn"), metric="f1")
    assert (row.with_reference().texts, row.with_reference().qualities) == (("a boat", "Ada"), (0.2, 1.0))
    assert row.with_reference().with_reference() == row.with_reference()
    assert make_row(0.2).with_reference() == make_row(0.2)
