"""A pool finds the rows of a file again, whatever the other files of the command are."""

from pathlib import Path

import pytest

from builders import make_pool, make_pool_question, make_row
from laserve.errors import ConfigError
from laserve.lab.data.names import names
from laserve.lab.data.reading import RowFile
from laserve.lab.pools.pool import Pool
from laserve.lab.pools.restrict import REASON, restricted, same_files


def pool(*keys: tuple[str, str]) -> Pool:
    scores = {"one": [0.0, 1.0]}
    return make_pool(*(make_pool_question(scores, [0.0, 1.0], file=file, id=id_) for file, id_ in keys))


def files(*paths: str) -> list[RowFile]:
    given = [Path(path) for path in paths]
    return [
        RowFile(
            path=path,
            name=name,
            label=name,
            format="JSON lines",
            records=2,
            rows=tuple(make_row(id=id_, file=name) for id_ in ("r0", "r1")),
            shapes={},
            left_out={},
            bad=(),
            unread={},
        )
        for path, name in zip(given, names(given), strict=True)
    ]


def kept(built: Pool, *paths: str) -> Pool:
    given = files(*paths)
    rows = [row for file in given for row in file.rows]
    return restricted(built, Path("pool.parquet"), given, rows, {"no right answers": 3})


@pytest.mark.parametrize(
    ("known", "paths", "expected"),
    [
        (["test"], ["/x/test.jsonl"], {"test": "test"}),
        (["test"], ["/x/test.parquet"], {"test": "test"}),
        (["a/test.jsonl", "b/test.jsonl"], ["/x/a/test.jsonl"], {"test": "a/test.jsonl"}),
        (["a/test.jsonl", "b/test.jsonl"], ["/y/b/test.jsonl"], {"test": "b/test.jsonl"}),
        (
            ["a/test.jsonl", "b/test.jsonl"],
            ["/x/a/test.jsonl", "/x/b/test.jsonl", "/x/c/test.jsonl"],
            {"a/test.jsonl": "a/test.jsonl", "b/test.jsonl": "b/test.jsonl"},
        ),
        (["test.jsonl", "test.csv"], ["/x/test.csv"], {"test": "test.csv"}),
        (["x/a/test.jsonl", "y/a/test.jsonl"], ["/z/y/a/test.jsonl"], {"test": "y/a/test.jsonl"}),
        (["test", "others"], ["/x/more.jsonl"], {}),
        (["a/test.jsonl"], ["/x/est.jsonl"], {}),
        ([], ["/x/test.jsonl"], {}),
    ],
)
def test_a_file_is_the_one_of_the_pool_whose_name_has_most_of_its_path(
    known: list[str], paths: list[str], expected: dict[str, str]
) -> None:
    assert same_files(known, {file.name: file.path for file in files(*paths)}) == expected


@pytest.mark.parametrize(
    ("known", "paths", "message"),
    [
        (
            ["a/test.jsonl", "b/test.jsonl"],
            ["/x/test.jsonl"],
            r"^--data: /x/test\.jsonl may be any of a/test\.jsonl, b/test\.jsonl in the pool$",
        ),
        (
            ["test"],
            ["/x/a/test.jsonl", "/x/b/test.jsonl"],
            r"^--data: test in the pool may be any of /x/a/test\.jsonl, /x/b/test\.jsonl$",
        ),
    ],
)
def test_files_that_cannot_be_told_apart_are_refused_by_name(
    known: list[str], paths: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        same_files(known, {file.name: file.path for file in files(*paths)})


def test_a_pool_of_two_files_of_one_name_is_restricted_to_one_of_them() -> None:
    built = pool(("a/test.jsonl", "r0"), ("b/test.jsonl", "r0"), ("b/test.jsonl", "r1"))
    part = kept(built, "/x/b/test.jsonl")
    assert [question.key for question in part.questions] == [("b/test.jsonl", "r0"), ("b/test.jsonl", "r1")]
    assert part.left_out == {"no right answers": 3}
    part = kept(built, "/x/a/test.jsonl")
    assert [question.key for question in part.questions] == [("a/test.jsonl", "r0")]
    assert part.left_out == {"no right answers": 3, REASON: 1}


def test_a_pool_without_a_row_of_the_data_is_refused_with_the_files_of_both() -> None:
    with pytest.raises(ConfigError) as caught:
        kept(pool(("bridges", "r0"), ("towns", "r1")), "/x/a/others.jsonl", "/x/b/others.jsonl")
    assert caught.value.message == (
        "--pool: pool.parquet has no question of --data; it was built from bridges, towns, and --data is "
        "a/others.jsonl, b/others.jsonl; remove it, or leave --data out"
    )
