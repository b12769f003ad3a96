"""Rows that each command can use, and the reasons why it cannot use the others."""

import pytest

from builders import make_row
from laserve.lab.data import needs
from laserve.lab.data.needs import Need
from laserve.lab.data.row import CORRECTNESS, PREFERENCE, Row

PAIR = make_row(1.0, 0.0, metric=PREFERENCE)
TIE = make_row(0.5, 0.5, metric=PREFERENCE)
RIGHT_AND_WRONG = make_row(1.0, 0.0, 0.0, metric=CORRECTNESS)
REWARDED = make_row(0.2, 0.7)
ONE = make_row(0.2)
QUESTION = make_row(references=("Ada",), metric="f1")
BOTH = make_row(0.2, references=("Ada",), metric="f1")
REQUEST = make_row()


@pytest.mark.parametrize(
    ("need", "usable"),
    [
        (needs.training, [PAIR, RIGHT_AND_WRONG, REWARDED]),
        (needs.training_with_references, [PAIR, RIGHT_AND_WRONG, REWARDED, BOTH]),
        (needs.scoring, [PAIR, TIE, RIGHT_AND_WRONG, REWARDED]),
        (needs.preferences, [PAIR, TIE]),
        (needs.correctness, [RIGHT_AND_WRONG]),
        (needs.selecting, [PAIR, TIE, RIGHT_AND_WRONG, REWARDED, QUESTION, BOTH]),
        (needs.asking, [QUESTION, BOTH]),
        (needs.sampling, [PAIR, TIE, RIGHT_AND_WRONG, REWARDED, ONE, QUESTION, BOTH, REQUEST]),
    ],
)
def test_a_command_takes_a_row_or_says_what_it_lacks(need: Need, usable: list[Row]) -> None:
    every = [PAIR, TIE, RIGHT_AND_WRONG, REWARDED, ONE, QUESTION, BOTH, REQUEST]
    assert [row for row in every if need(row) is None] == usable
    assert all(need(row) for row in every if row not in usable)
