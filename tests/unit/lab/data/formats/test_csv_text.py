"""Tables as text."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_files import CODECS, problems, records, saved, table, values
from laserve.errors import InvalidRequest
from laserve.lab.data.formats.opening import open_records

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=8)


@given(
    rows=st.lists(
        st.fixed_dictionaries({"prompt": CELLS, "the answer": CELLS.filter(str.strip)}),
        min_size=1,
        max_size=4,
    ),
    delimiter=st.sampled_from(",;\t|"),
    codec=st.sampled_from(CODECS),
    end=st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_texts_read_back_equal_in_every_dialect_and_encoding(
    tmp_path: Path, rows: list[dict[str, str]], delimiter: str, codec: str, end: str
) -> None:
    path = saved(tmp_path, table(rows, delimiter=delimiter, end=end).encode(codec), "rows.csv")
    assert values(path) == [{name: cell or None for name, cell in row.items()} for row in rows]


def test_a_record_has_the_number_of_its_first_line(tmp_path: Path) -> None:
    path = saved(tmp_path, 'prompt,chosen\n"a\nb","c\r\nd"\n\n\nx,y\n')
    assert [record.position for record in records(path)] == ["line 2", "line 7"]


def test_cells_stay_texts(tmp_path: Path) -> None:
    path = saved(tmp_path, "question,answers,zip\nwhen?,1907,01234\nis it?,true,\n")
    assert values(path) == [
        {"question": "when?", "answers": "1907", "zip": "01234"},
        {"question": "is it?", "answers": "true", "zip": None},
    ]


def test_a_cell_may_be_as_long_as_a_book(tmp_path: Path) -> None:
    book = "word " * 100_000
    assert values(saved(tmp_path, f"prompt,chosen\n{book},b\n")) == [{"prompt": book, "chosen": "b"}]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("x", "has 1 cells; the first line names 2 columns"),
        ("x,y,z", "has 3 cells; the first line names 2 columns"),
        ('"x" y,z', "is not CSV: ',' expected after '\"'"),
        ("x\0,y", "holds zero bytes, so the file is damaged"),
        ("x,['a' 'b']", "chosen: is a list as NumPy prints it; save the table as JSON lines or parquet"),
        (
            "x,\"{'text': array(['Velm'], dtype=object)}\"",
            "chosen: is a list as NumPy prints it; save the table as JSON lines or parquet",
        ),
    ],
)
def test_a_bad_row_is_named_and_the_others_are_read(tmp_path: Path, row: str, problem: str) -> None:
    path = saved(tmp_path, f"prompt,chosen\na,b\n{row}\nc,d\n")
    assert problems(path) == {"line 3": problem}
    assert values(path) == [{"prompt": "a", "chosen": "b"}, None, {"prompt": "c", "chosen": "d"}]


def test_a_quotation_that_never_ends_is_named_where_it_starts(tmp_path: Path) -> None:
    path = saved(tmp_path, 'prompt,chosen\na,b\n"c,d\ne,f\n')
    assert problems(path) == {"line 3": "is not CSV: unexpected end of data"}


def test_a_bad_byte_is_named_with_its_column(tmp_path: Path) -> None:
    path = saved(tmp_path, "prompt,chosen\nà,é\n".encode() + b"caf\xe9,x\n")
    assert problems(path) == {"line 3": "prompt: holds the byte 0xE9, which is none of the file's encoding"}


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"rows\.csv: names the column prompt twice"):
        records(saved(tmp_path, "prompt,prompt\na,b\n", "rows.csv"))


def test_a_column_without_a_name_is_left_out(tmp_path: Path) -> None:
    assert values(saved(tmp_path, ",prompt\n0,a\n", "rows.csv")) == [{"prompt": "a"}]


def test_a_single_column_needs_the_suffix(tmp_path: Path) -> None:
    assert values(saved(tmp_path, "prompt\nwho?\n", "rows.csv")) == [{"prompt": "who?"}]
    with pytest.raises(InvalidRequest, match="holds no rows"):
        records(saved(tmp_path, "prompt\nwho?\n", "rows.txt"))


def test_a_header_alone_holds_no_records(tmp_path: Path) -> None:
    path = saved(tmp_path, "prompt\tchosen\n")
    assert open_records(path).format == "TSV, UTF-8"
    assert records(path) == []
