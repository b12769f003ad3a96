"""What a cell of a table as text may stand for."""

import pytest

from laserve.lab.data.formats.cell import Cell


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-0.5", -0.5),
        ("1e3", 1000.0),
        (" 7 ", 7),
        ("true", True),
        ("False", False),
        ("01234", "01234"),
        ("seven", "seven"),
        ("null", "null"),
        ("[1]", "[1]"),
        ("", ""),
    ],
)
def test_numbers_and_truth_values_are_read_where_they_are_wanted(text: str, value: object) -> None:
    plain = Cell(text).plain()
    assert plain == value
    assert type(plain) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('["a", "b"]', ["a", "b"]),
        ("['a', \"it's\"]", ["a", "it's"]),
        ("{'text': ['a'], 'start': [None, True]}", {"text": ["a"], "start": [None, True]}),
        (' {"role": "user"}', {"role": "user"}),
        ("['a' 'b']", None),
        ("[Verse 1] Rain", None),
        ("[" * 5000, None),
        ("{1, 2}", None),
        ("1907", None),
    ],
)
def test_lists_and_objects_are_read_as_json_and_as_python_writes_them(text: str, value: object) -> None:
    assert Cell(text).listed() == value


@pytest.mark.parametrize("text", ["[1if 2 else 3]", r"['\d']"])
def test_a_text_that_is_almost_python_warns_of_nothing(text: str, recwarn: pytest.WarningsRecorder) -> None:
    assert Cell(text).listed() is None
    assert not recwarn.list


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("['a' 'b']", True),
        ("['a'\n 'b']", True),
        ("{'text': array(['a'], dtype=object)}", True),
        ("[{'role': 'user', 'content': 'hi'} {'role': 'assistant', 'content': 'yo'}]", True),
        ("[{'role': 'user', 'content': 'hi'}\n {'role': 'assistant', 'content': 'yo'}]", True),
        ("[{'role': 'user', 'content': array([{'type': 'text'}], dtype=object)}]", True),
        ("[{'content': array([{'a': 1}],\n      dtype=object)}\n {'content': 'b'}    ]", True),
        ("[{'role': 'user', 'content': 'hi'}, {'role': 'assistant', 'content': 'yo'}]", False),
        ("['a', 'b']", False),
        ("[\"say 'x' 'y'\"]", False),
        ("[Chorus]", False),
    ],
)
def test_lists_as_numpy_prints_them_are_recognised(text: str, expected: bool) -> None:
    assert Cell(text).is_numpy is expected
