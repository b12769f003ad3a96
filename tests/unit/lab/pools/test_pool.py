"""A pool keeps what it was made of, and comes back from its file as it was."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from builders import make_pool, make_pool_question
from laserve.errors import ConfigError
from laserve.lab.pools.pool import Pool, PoolQuestion, read, write

NAN = float("nan")


def equal(ours: Pool, theirs: Pool) -> bool:
    def plain(pool: Pool) -> Any:
        rows = [question.to_json() for question in pool.questions]
        return repr((pool.recipe.to_json(), dict(pool.left_out), rows))  # NaN is no equal of itself

    return plain(ours) == plain(theirs)


def test_a_pool_comes_back_as_it_was_written(tmp_path: Path) -> None:
    pool = make_pool(
        make_pool_question({"a": [0.1, NAN], "b": [NAN, NAN]}, [0.0, 1.0], texts=("yes", "no")),
        make_pool_question(
            {"a": [1e-300, -1 / 3], "b": [2.0, 2.0]}, [0.5, 0.5], logprobs=np.array([NAN, NAN])
        ),
        left_out={"SQuAD: is_impossible": 3},
    )
    write(pool, tmp_path / "pool.parquet")
    back = read(tmp_path / "pool.parquet")
    assert equal(back, pool)
    assert back.arms == ("a", "b")
    assert [path.name for path in tmp_path.iterdir()] == ["pool.parquet"]


def test_a_pool_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    pool = make_pool(make_pool_question({"a": [1.0, 0.0]}, [0.0, 1.0]))
    with pytest.raises(ConfigError, match=r"^--pool: .* cannot be written"):
        write(pool, tmp_path / "nowhere" / "pool.parquet")
    path = tmp_path / "pool.parquet"
    with pytest.raises(pyarrow.ArrowException):
        write(replace(pool, questions=(replace(pool.questions[0], task=b"\xff"),)), path)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@given(
    x=st.lists(st.floats(allow_nan=False, width=64), min_size=1, max_size=4),
    qualities=st.lists(st.floats(0, 1), min_size=1, max_size=5),
)
def test_every_number_survives_json(x: list[float], qualities: list[float]) -> None:
    question = make_pool_question({"a": qualities[::-1]}, qualities, x=np.array(x))
    back = PoolQuestion.from_json(json.loads(json.dumps(question.to_json())))
    assert back.x.tolist() == x
    assert back.qualities.tolist() == qualities
    assert back.scores["a"].tolist() == qualities[::-1]


def test_secrets_in_the_options_of_an_older_pool_go_no_further(tmp_path: Path) -> None:
    pool = make_pool(make_pool_question({"a": [1.0, 0.0]}, [0.0, 1.0]))
    arm = replace(pool.recipe.arms[0], options={"token": "hidden", "url": "http://ann:hidden@host", "n": 1})
    old = replace(pool, recipe=replace(pool.recipe, arms=(arm,)))
    write(old, tmp_path / "pool.parquet")
    assert read(tmp_path / "pool.parquet").recipe.arms[0].options == {"url": "http://host", "n": 1}
    assert "hidden" not in json.dumps(old.recipe.to_json())


def test_columns_are_named_so_that_other_tools_can_read_them(tmp_path: Path) -> None:
    write(make_pool(make_pool_question({"a": [1.0, 0.0]}, [0.0, 1.0])), tmp_path / "pool.parquet")
    table = parquet.read_table(tmp_path / "pool.parquet")
    assert {"id", "task", "source", "metric", "x", "qualities", "scores:a"} <= set(table.column_names)
    assert table["scores:a"].to_pylist() == [[1.0, 0.0]]


def test_a_file_that_is_no_pool_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    path.write_text("no parquet")
    with pytest.raises(ConfigError, match="is not a pool"):
        read(path)
    parquet.write_table(pyarrow.table({"id": ["q1"]}), path)
    with pytest.raises(ConfigError, match="is not a pool"):
        read(path)


def test_questions_that_are_left_out_are_counted() -> None:
    questions = [make_pool_question({"a": [1.0, 0.0]}, [0.0, 1.0]) for _ in range(3)]
    pool = make_pool(*questions, left_out={"bad": 1})
    left = pool.leaving_out("bad", frozenset({("questions", "q1"), ("questions", "q3"), ("other", "q2")}))
    assert [question.id for question in left.questions] == ["q2"]
    assert left.left_out == {"bad": 3}
    assert pool.leaving_out("worse", frozenset()).left_out == {"bad": 1}
