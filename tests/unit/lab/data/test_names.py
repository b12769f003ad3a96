"""Names of files: short where they can be, and never equal."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laserve.errors import ConfigError
from laserve.lab.data.names import check_once, labels, names

A, B = Path("/data/a/test.jsonl"), Path("/data/b/test.jsonl")


@pytest.mark.parametrize(
    ("paths", "short"),
    [
        ([Path("/data/nq.jsonl.gz")], ["nq"]),
        ([A, B], ["a/test.jsonl", "b/test.jsonl"]),
        ([A, Path("/data/a/test.csv")], ["test.jsonl", "test.csv"]),
        ([A, Path("/x/a/test.jsonl"), Path("/data/nq.csv")], ["data/a/test.jsonl", "x/a/test.jsonl", "nq"]),
        ([Path("/data/.hidden")], [".hidden"]),
    ],
)
def test_a_name_is_as_long_as_it_must_be(paths: list[Path], short: list[str]) -> None:
    assert names(paths) == short


def test_a_label_keeps_the_suffixes() -> None:
    assert labels([Path("/data/nq.jsonl.gz"), Path("/data/nq.csv")]) == ["nq.jsonl.gz", "nq.csv"]
    assert labels([A, B]) == ["a/test.jsonl", "b/test.jsonl"]


PARTS = st.sampled_from(["a", "b", "a.jsonl", "b.jsonl", "a.csv", "a.jsonl.gz"])
PATHS = st.lists(PARTS, min_size=1, max_size=4).map(lambda parts: Path("/", *parts))


@given(paths=st.lists(PATHS, max_size=8, unique=True))
def test_no_two_files_have_one_name_or_one_label(paths: list[Path]) -> None:
    assert len(set(names(paths))) == len(set(labels(paths))) == len(paths)


def test_a_file_given_twice_is_refused_by_its_option(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").touch()
    (tmp_path / "same.jsonl").symlink_to("rows.jsonl")
    with pytest.raises(ConfigError, match=r"--preferences: .*rows.jsonl is given twice"):
        check_once([tmp_path / "rows.jsonl", tmp_path / "same.jsonl"], option="--preferences")
