"""Each record is taken for its own shape."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_pairs import PAIR_EXAMPLES
from data_questions import QUESTION_EXAMPLES, made
from laserve.lab.data.formats.cell import Cell
from laserve.lab.data.shapes.base import BadRecord, LeftOut
from laserve.lab.data.shapes.known import SHAPES, shape_of

EXAMPLES = QUESTION_EXAMPLES | PAIR_EXAMPLES
#: Records that a parquet file cannot hold, since a list holds values of different types.
MIXED = ("HotpotQA document", "laserve export")
COLUMNS = sorted({column for _, record in QUESTION_EXAMPLES.values() for column in record})
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["text", "value", "role", "content", "steps"]), inner, max_size=3)
    ),
    max_leaves=4,
)


@pytest.mark.parametrize("label", QUESTION_EXAMPLES)
def test_a_record_is_taken_for_its_own_shape(label: str) -> None:
    shape, record = QUESTION_EXAMPLES[label]
    assert shape_of(record) is shape
    assert not isinstance(made(record), LeftOut)


@pytest.mark.parametrize("label", sorted(EXAMPLES.keys() - set(MIXED)))
def test_a_record_is_read_alike_from_parquet(label: str) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    _, record = EXAMPLES[label]
    file = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist([record]), file)
    (stored,) = parquet.read_table(pa.BufferReader(file.getvalue())).to_pylist()
    assert made(stored) == made(record)


@pytest.mark.parametrize("write", [json.dumps, repr])
@pytest.mark.parametrize("label", sorted(EXAMPLES))
def test_a_record_is_read_alike_from_a_table_as_text(label: str, write: Callable[[object], str]) -> None:
    _, record = EXAMPLES[label]
    cells = {
        name: None if value in (None, "") else Cell(value if isinstance(value, str) else write(value))
        for name, value in record.items()
    }
    assert made(cells) == made(record)


def test_a_record_of_no_shape_is_refused_with_its_columns() -> None:
    with pytest.raises(BadRecord, match="has the columns text, label, which no known shape has"):
        shape_of({"text": "hello", "label": 1})
    with pytest.raises(BadRecord, match=r"\(none\)"):
        shape_of({})


def test_of_many_or_long_columns_a_message_names_some_and_shows_no_control_characters() -> None:
    with pytest.raises(BadRecord) as caught:
        shape_of({f"\x1b[2J{number}" + "x" * 1000: 1 for number in range(100)})
    message = str(caught.value)
    assert len(message) < 800
    assert message.isprintable()
    assert "and 88 more" in message


@pytest.mark.parametrize("value", [10**400, -(10**400), float("nan"), float("inf"), "[" * 100_000])
@pytest.mark.parametrize("label", QUESTION_EXAMPLES)
def test_values_out_of_all_bounds_are_read_or_refused(label: str, value: object) -> None:
    _, record = QUESTION_EXAMPLES[label]
    for column in record:
        for changed in (value, [value], [{"text": "a", "logprob": value, "rating": value}]):
            try:
                made(record | {column: changed})
            except BadRecord as error:
                assert len(str(error)) < 400


@given(record=st.dictionaries(st.sampled_from(COLUMNS), VALUES, max_size=6))
def test_any_record_is_read_or_refused(record: Mapping[str, Any]) -> None:
    assert [shape.matches(record) for shape in SHAPES]
    try:
        made(dict(record))
    except BadRecord as error:
        assert str(error)


@settings(max_examples=50)
@given(
    label=st.sampled_from(sorted(QUESTION_EXAMPLES)),
    changes=st.dictionaries(st.sampled_from(COLUMNS), VALUES, min_size=1, max_size=2),
)
def test_an_example_with_any_other_values_is_read_or_refused(label: str, changes: dict[str, Any]) -> None:
    _, record = QUESTION_EXAMPLES[label]
    try:
        made(record | changes)
    except BadRecord as error:
        assert str(error)
