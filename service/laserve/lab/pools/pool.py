"""Pools: questions with candidates, every arm's scores and every candidate's quality, kept as a parquet file.

`laserve.lab.replay` compares policies on a pool, without new generation.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from laserve.config.secrets import public
from laserve.errors import ConfigError
from laserve.lab.output import written
from laserve.types import Vector

#: Format of the file; files of other formats are refused.
FORMAT = 1
_KEY = b"laserve.pool"
#: Prefix of the columns with an arm's scores.
_SCORES = "scores:"
_COLUMNS = (
    "id",
    "file",
    "task",
    "source",
    "metric",
    "x",
    "texts",
    "logprobs",
    "tokens",
    "qualities",
)


@dataclass(frozen=True, kw_only=True)
class PoolArm:
    """An arm whose scores a pool holds."""

    name: str
    kind: str
    options: Mapping[str, Any]
    #: Whether its scores cost nothing.
    free: bool


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings that a pool was made with; all questions of a pool have one recipe."""

    arms: tuple[PoolArm, ...]
    #: Settings of the generator.
    generator: Mapping[str, Any]
    #: Sampling of the candidates that were not stored answers.
    sampling: Mapping[str, Any]
    #: Fingerprint of the context builder.
    context: Mapping[str, Any]
    #: Name of each feature of x.
    features: tuple[str, ...]
    #: Version of laserve that made the pool.
    laserve: str

    def to_json(self) -> dict[str, Any]:
        """The recipe as JSON values, without secrets, even if an older file had some."""
        return json.loads(json.dumps(public(asdict(self))))  # type: ignore[no-any-return]

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Recipe":
        """The recipe from JSON values. Raises KeyError or TypeError when they have another form."""
        arms = tuple(PoolArm(**arm) for arm in content["arms"])
        return cls(**{**content, "arms": arms, "features": tuple(content["features"])})


@dataclass(frozen=True, kw_only=True)
class PoolQuestion:
    """One question of a pool, with n candidates."""

    #: Unique within its file.
    id: str
    #: Name of its file, without suffixes.
    file: str
    task: str
    #: Questions of one source, such as an article, are not independent.
    source: str
    #: Metric of the qualities.
    metric: str
    #: Context, shape (d,), float64.
    x: Vector
    #: Total log-probability of each candidate, in nats, shape (n,), float64; NaN if not known.
    logprobs: Vector
    #: Sampled tokens of each candidate; 0 if not known.
    tokens: tuple[int, ...]
    #: Quality of each candidate in [0, 1], shape (n,), float64.
    qualities: Vector
    #: Every arm of the pool -> its scores, shape (n,), float64; NaN for missing scores.
    scores: Mapping[str, Vector]
    #: Texts of the candidates, if kept.
    texts: tuple[str, ...] | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.file, self.id

    def to_json(self) -> dict[str, Any]:
        """The question as JSON values or a parquet row; NaN stays NaN."""
        scores = {_SCORES + arm: scores.tolist() for arm, scores in self.scores.items()}
        row = {name: getattr(self, name) for name in _COLUMNS}
        for name in ("x", "logprobs", "qualities"):
            row[name] = row[name].tolist()
        return row | {"tokens": list(self.tokens), "texts": self.texts and list(self.texts)} | scores

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "PoolQuestion":
        """The question from JSON values. Raises KeyError, TypeError or ValueError for another form."""
        known = {name: row[name] for name in _COLUMNS}
        for name in ("x", "logprobs", "qualities"):
            known[name] = np.asarray(row[name], dtype=np.float64)
        known["tokens"] = tuple(row["tokens"])
        known["texts"] = None if row["texts"] is None else tuple(row["texts"])
        scores = {
            name.removeprefix(_SCORES): np.asarray(values, dtype=np.float64)
            for name, values in row.items()
            if name.startswith(_SCORES)
        }
        return cls(**known, scores=scores)


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Questions of one recipe."""

    recipe: Recipe
    questions: tuple[PoolQuestion, ...]
    #: Reason -> number of rows left out for it.
    left_out: Mapping[str, int]

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(arm.name for arm in self.recipe.arms)

    def leaving_out(self, reason: str, keys: frozenset[tuple[str, str]]) -> "Pool":
        """The pool without these questions, which are counted as left out for the reason."""
        kept = tuple(question for question in self.questions if question.key not in keys)
        left = len(self.questions) - len(kept)
        counts = {**self.left_out, reason: self.left_out.get(reason, 0) + left} if left else self.left_out
        return replace(self, questions=kept, left_out=counts)


def check_pyarrow() -> None:
    """Raise ConfigError when the package that reads and writes parquet is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"{error}; pip install 'laserve[bench]'") from error


def write(pool: Pool, path: Path) -> None:
    """Write the pool, complete or not at all. Raises ConfigError when the file cannot be written."""
    import pyarrow
    from pyarrow import parquet

    floats, texts = pyarrow.list_(pyarrow.float64()), pyarrow.list_(pyarrow.string())
    types = dict.fromkeys(_COLUMNS, pyarrow.string())
    types |= {"x": floats, "texts": texts, "logprobs": floats, "qualities": floats}
    types |= {"tokens": pyarrow.list_(pyarrow.int32())} | {_SCORES + arm: floats for arm in pool.arms}
    about = {"format": FORMAT, "recipe": pool.recipe.to_json(), "left_out": dict(pool.left_out)}
    schema = pyarrow.schema(list(types.items()), metadata={_KEY: json.dumps(about)})
    table = pyarrow.Table.from_pylist([question.to_json() for question in pool.questions], schema=schema)
    with written(path, "--pool") as out:
        parquet.write_table(table, out)


def read(path: Path) -> Pool:
    """Read a pool. Raises ConfigError when the file is not a pool, or has another format."""
    import pyarrow
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
        about = json.loads((table.schema.metadata or {})[_KEY])
        if about["format"] != FORMAT:
            raise ConfigError.at(
                "--pool", f"{path} has format {about['format']}, this version reads {FORMAT}"
            )
        return Pool(
            recipe=Recipe.from_json(about["recipe"]),
            questions=tuple(map(PoolQuestion.from_json, table.to_pylist())),
            left_out=about["left_out"],
        )
    except (OSError, pyarrow.ArrowException, KeyError, TypeError, ValueError) as error:
        raise ConfigError.at("--pool", f"{path} is not a pool written by laserve: {error!r}") from error
