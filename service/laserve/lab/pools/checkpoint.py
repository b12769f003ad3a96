"""Checkpoint of an unfinished pool, from which an interrupted build is resumed."""

import json
import math
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from laserve.errors import ConfigError
from laserve.lab.output import write_text
from laserve.lab.pools.pool import FORMAT, PoolQuestion, Recipe


class Checkpoint:
    """A file of JSON lines: the recipe, then one question per line. `finish` removes it.

    A file without questions is worth nothing: it is removed at the end, and its recipe is not compared.

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
            ConfigError: the file has questions of another recipe, is not a checkpoint, or cannot be read or
                written.
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
        if not self.done:
            self.finish()

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
        """Remove the file."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> list[PoolQuestion]:
        """The questions of the file, without an incomplete last line."""
        try:
            head, *lines = self.path.read_text(encoding="utf-8").split("\n")[:-1]
            about = json.loads(head)
            recipe = Recipe.from_json(about["recipe"])
            if lines:
                self._check(about["format"], recipe)
            return [PoolQuestion.from_json(_with_nan(json.loads(line))) for line in lines]
        except OSError as error:
            raise ConfigError.at("--pool", f"{self.path} cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError.at("--pool", f"{self.path} is not an unfinished pool; remove it") from error

    def _check(self, form: int, recipe: Recipe) -> None:
        """Raise ConfigError if the questions of the file have another format or recipe."""
        if form != FORMAT or recipe.to_json() != self._recipe.to_json():
            changed = [
                name for name, value in recipe.to_json().items() if value != self._recipe.to_json()[name]
            ]
            raise ConfigError.at(
                "--pool",
                f"{self.path} was made with another {', '.join(changed) or 'format'}; "
                "continue with equal settings, or remove it",
            )


def _line(row: dict[str, Any]) -> str:
    return json.dumps({name: _null(value) for name, value in row.items()}, allow_nan=False) + "\n"


def _null(value: Any) -> Any:
    """Replace NaN, which JSON does not have, by null."""
    if isinstance(value, list):
        return [None if isinstance(one, float) and not math.isfinite(one) else one for one in value]
    return value


def _with_nan(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _nan(value) for name, value in row.items()}


def _nan(value: Any) -> Any:
    if isinstance(value, list):
        return [math.nan if one is None else one for one in value]
    return value
