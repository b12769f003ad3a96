"""Options and decorators that commands share."""

import errno
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import click

if TYPE_CHECKING:
    from laserve.errors import LaserveError

P = ParamSpec("P")
R = TypeVar("R")
#: Exit status after Ctrl-C.
INTERRUPTED = 130
#: Errors of a file, or of standard output, that has no room.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
#: Decorator that adds options to a command.
Options = Callable[[Callable[..., Any]], Callable[..., Any]]


def configured(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of every command that reads settings."""
    for option in (
        click.option("--profile", help="Built-in settings below those of the file; `fake` needs no models."),
        click.option(
            "--config", type=click.Path(path_type=Path, dir_okay=False), help="YAML or JSON file of settings."
        ),
    ):
        command = option(command)
    return command


def rows(
    help: str,  # noqa: A002 - as click calls it
    *,
    option: str = "--data",
    required: bool = True,
) -> Options:
    """The repeatable option for files of rows."""
    file = click.Path(path_type=Path, exists=True, dir_okay=False)
    return click.option(option, type=file, multiple=True, required=required, help=help)


def refuse(error: "LaserveError") -> NoReturn:
    """End the command with the error's line on standard error and exit status 1."""
    click.echo(f"laserve: {error.message}", err=True)
    sys.exit(1)


def strict(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option of every command that reads rows."""
    return click.option(
        "--strict",
        is_flag=True,
        help="Refuse a file with a record that cannot be read, instead of leaving it out.",
    )(command)


def refusing(command: Callable[P, R]) -> Callable[P, R]:
    """Turn errors of laserve into a line on standard error and exit status 1, and Ctrl-C into status 130.

    A full disk is an error of this kind; errors of files that options name have their own words.
    """

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        from laserve.errors import LaserveError

        try:
            _check_distinct(click.get_current_context())
            return command(*args, **kwargs)
        except LaserveError as error:
            refuse(error)
        except KeyboardInterrupt:
            click.echo("laserve: interrupted", err=True)
            sys.exit(INTERRUPTED)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            _discard()
            refuse(LaserveError(f"output cannot be written: {error.strerror}"))

    return wrapped


def _check_distinct(context: click.Context) -> None:
    """Raise ConfigError if a file to write is that of another option as well, which would be lost."""
    from laserve.errors import ConfigError

    paths = [
        (option, path)
        for option in context.command.params
        for given in [context.params.get(option.name or "")]
        for path in (given if isinstance(given, tuple) else (given,))
        if isinstance(path, Path)
    ]
    for option, path in paths:
        if isinstance(option.type, NewFile) and (path.is_file() or not path.exists()):
            for other, taken in paths:
                if other is not option and taken.resolve() == path.resolve():
                    name = other.human_readable_name if isinstance(other, click.Argument) else other.opts[0]
                    raise ConfigError.at(option.opts[0], f"{path} is the file of {name} as well")


def _discard() -> None:
    """Discard what standard output still holds, since Python would try to write it again at its end."""
    from laserve.lab.output import discard

    with suppress(OSError, AttributeError):  # there is no standard output, or it is no file
        discard()


class NewFile(click.Path):
    """A file to write, which is refused before the work if it cannot be written."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path."""
        from laserve.errors import ConfigError
        from laserve.lab.output import check_writable

        path = Path(super().convert(value, param, ctx))  # type: ignore[arg-type]
        try:
            check_writable(path, param.opts[0] if param else str(value))
        except ConfigError as error:
            refuse(error)
        return path


def json_out(help: str = "File for the results, as JSON.") -> Options:  # noqa: A002 - as click calls it
    """The option for the file of results."""
    return click.option("--json", "out", type=NewFile(), help=help)


def cuts(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that cut a question's documents."""
    for option in (
        click.option(
            "--passages",
            type=click.IntRange(1),
            help="Cut each question's documents into passages and keep this number of them.",
        ),
        click.option(
            "--documents", type=click.IntRange(1), help="Keep this number of documents of each question."
        ),
    ):
        command = option(command)
    return command
