"""How documents share a model's length, and how a chat template is taken apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laserve.tokenizer import shares

LENGTHS = st.lists(st.integers(0, 50), max_size=8)


@given(lengths=LENGTHS, room=st.integers(0, 300))
def test_shares_use_the_room_and_no_more(lengths: list[int], room: int) -> None:
    assert sum(shares(lengths, room)) == min(sum(lengths), room)


@given(lengths=LENGTHS, room=st.integers(0, 300))
def test_no_document_gets_more_than_its_length(lengths: list[int], room: int) -> None:
    kept = shares(lengths, room)
    assert len(kept) == len(lengths)
    assert all(0 <= share <= length for share, length in zip(kept, lengths, strict=True))


@given(lengths=LENGTHS, room=st.integers(0, 300))
def test_the_longest_documents_lose_first_down_to_a_common_length(lengths: list[int], room: int) -> None:
    kept = shares(lengths, room)
    cut = [share for share, length in zip(kept, lengths, strict=True) if share < length]
    # Who was cut kept at least as much as anyone else, but for the one token that a division leaves over.
    assert all(share >= max(kept) - 1 for share in cut)


@given(lengths=LENGTHS, spare=st.integers(0, 20))
def test_nothing_is_lost_when_all_fits(lengths: list[int], spare: int) -> None:
    assert shares(lengths, sum(lengths) + spare) == lengths


@pytest.mark.parametrize(
    ("lengths", "room", "kept"),
    [
        ([], 10, []),
        ([5, 100, 20], 40, [5, 18, 17]),
        ([5, 100, 20], 60, [5, 35, 20]),
        ([10, 10], 0, [0, 0]),
        ([10, 10, 10], 10, [3, 3, 4]),
        ([0, 7], 3, [0, 3]),
    ],
)
def test_shares_of_known_cases(lengths: list[int], room: int, kept: list[int]) -> None:
    assert shares(lengths, room) == kept
