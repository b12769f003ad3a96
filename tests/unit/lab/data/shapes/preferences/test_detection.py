"""Each record of preferences is taken for its own shape, and any record is read or refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pairs import PAIR_EXAMPLES
from data_questions import made
from laserve.lab.data.shapes.base import BadRecord, LeftOut
from laserve.lab.data.shapes.known import SHAPES, shape_of

COLUMNS = sorted({column for _, record in PAIR_EXAMPLES.values() for column in record})
FIELDS = st.sampled_from(["role", "content", "type", "text", "messages", "response", "overall_score"])
TEXTS = st.text(max_size=5) | st.sampled_from(["user", "assistant", "tool", "image", "model_a"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-4, 10**400) | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("label", PAIR_EXAMPLES)
def test_a_record_is_taken_for_its_own_shape(label: str) -> None:
    shape, record = PAIR_EXAMPLES[label]
    assert shape_of(record) is shape
    assert not isinstance(made(record), LeftOut)


@pytest.mark.parametrize("label", PAIR_EXAMPLES)
def test_a_record_s_other_columns_may_be_null_or_missing(label: str) -> None:
    shape, record = PAIR_EXAMPLES[label]
    others = {"id": None, "metadata": None, "source": record.get("source"), "task": None, "split": None}
    assert shape_of(others | record) is shape
    assert made(others | record) == made(record)


@given(
    label=st.sampled_from(sorted(PAIR_EXAMPLES)),
    changes=st.dictionaries(st.sampled_from(COLUMNS), VALUES, min_size=1, max_size=2),
)
def test_a_record_with_any_other_values_is_read_or_refused(label: str, changes: dict[str, Any]) -> None:
    record = PAIR_EXAMPLES[label][1] | changes
    assert [shape.matches(record) for shape in SHAPES]
    try:
        rows = made(record)
    except BadRecord as error:
        assert len(str(error)) < 400
    else:
        assert isinstance(rows, LeftOut) or rows
