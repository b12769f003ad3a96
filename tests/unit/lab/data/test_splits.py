"""Training and held-out rows."""

from hypothesis import given
from hypothesis import strategies as st

from builders import make_row
from laserve.lab.data.row import Row
from laserve.lab.data.splits import first, split


def rows(sources: str | list[str]) -> list[Row]:
    return [make_row(0.0, 1.0, id=str(index), source=source) for index, source in enumerate(sources)]


@given(sources=st.lists(st.sampled_from("abcdefghij"), max_size=30), share=st.floats(0, 1))
def test_a_split_loses_nothing_and_divides_no_source(sources: list[str], share: float) -> None:
    train, held = split(rows(sources), share)
    assert sorted((*train, *held), key=lambda row: int(row.id)) == rows(sources)
    assert not {row.source for row in train} & {row.source for row in held}


def test_the_last_sources_are_held_out() -> None:
    train, held = split(rows("aabbccddee"), 0.2)
    assert [row.source for row in held] == ["e", "e"]
    assert len(train) == 8


def test_a_share_of_one_holds_all_rows_out() -> None:
    assert split(rows("abc"), 1.0) == ([], rows("abc"))


def test_a_number_of_rows_is_taken_from_the_start() -> None:
    assert first(rows("abc"), 2) == rows("abc")[:2]
    assert first(rows("abc"), None) == rows("abc")
