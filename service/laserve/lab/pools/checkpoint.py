"""Checkpoint of an unfinished pool, from which an interrupted build is resumed."""

import json
import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from laserve.errors import ConfigError
from laserve.lab.output import write_text
from laserve.lab.pools.pool import FORMAT, PoolQuestion, Recipe


class Checkpoint:
    """A file of JSON lines: the recipe, then one question per line. `finish` removes it.

    Args:
        pool: file of the finished pool.
    """

    def __init__(self, pool: Path, recipe: Recipe) -> None:
        self.path = pool.with_name(f"{pool.name}.part")
        self._recipe = recipe
        self._file: IO[str]

    def __enter__(self) -> Self:
        """Open the file.

        Raises:
            ConfigError: the file has another recipe, is not a checkpoint, or cannot be written.
        """
        #: Finished questions by key.
        self.done = {question.key: question for question in self._read()} if self.path.exists() else {}
        whole = [_line({"format": FORMAT, "recipe": self._recipe.to_json()})]
        whole += [_line(question.to_json()) for question in self.done.values()]
        write_text(self.path, "".join(whole), "--pool")  # without the incomplete last line
        self._file = self.path.open("a", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # of what `add` could not write
            self._file.close()

    def add(self, question: PoolQuestion) -> None:
        """Keep a question. Raises ConfigError when the file cannot be written."""
        self.done[question.key] = question
        try:
            self._file.write(_line(question.to_json()))
            self._file.flush()
        except OSError as error:
            reason = f"{self.path} cannot be written: {error.strerror}"
            raise ConfigError.at("--pool", reason) from error

    def finish(self) -> None:
        self.path.unlink()

    def _read(self) -> Iterator[PoolQuestion]:
        lines = self.path.read_text(encoding="utf-8").split("\n")
        try:
            head = json.loads(lines[0])
            recipe = Recipe.from_json(head["recipe"])
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError.at("--pool", f"{self.path} is not an unfinished pool; remove it") from error
        if head["format"] != FORMAT or recipe.to_json() != self._recipe.to_json():
            changed = [
                name for name, value in recipe.to_json().items() if value != self._recipe.to_json()[name]
            ]
            raise ConfigError.at(
                "--pool",
                f"{self.path} was made with another {', '.join(changed) or 'format'}; "
                "continue with equal settings, or remove it",
            )
        for line in lines[1:-1]:  # text after the last line break is an incomplete line
            row = json.loads(line)
            yield PoolQuestion.from_json({name: _nan(value) for name, value in row.items()})


def _line(row: dict[str, Any]) -> str:
    return json.dumps({name: _null(value) for name, value in row.items()}, allow_nan=False) + "\n"


def _null(value: Any) -> Any:
    """Replace NaN, which JSON does not have, by null."""
    if isinstance(value, list):
        return [None if isinstance(one, float) and not math.isfinite(one) else one for one in value]
    return value


def _nan(value: Any) -> Any:
    if isinstance(value, list):
        return [math.nan if one is None else one for one in value]
    return value
