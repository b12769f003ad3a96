from dataclasses import replace

import pytest

from builders import make_candidates, make_request
from laserve.errors import NoCandidate
from laserve.selection.panel import in_order


def test_candidates_are_put_in_the_order_of_their_indices() -> None:
    first, second, third = make_candidates("a", "b", "c")
    assert in_order([third, first, second], make_request()) == (first, second, third)


def test_candidates_of_which_some_are_missing_are_numbered_anew() -> None:
    late = make_candidates(*"abcd")
    candidates = in_order([late[3], late[1]], make_request())
    assert candidates == (replace(late[1], index=0), replace(late[3], index=1))


def test_without_a_candidate_there_is_no_decision() -> None:
    with pytest.raises(NoCandidate, match=r"^timeout_s: no candidate finished within 0\.5 s$") as caught:
        in_order([], make_request(timeout_s=0.5))
    assert (caught.value.status, caught.value.param) == (504, "timeout_s")
