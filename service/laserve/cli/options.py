"""Options and decorators that commands share."""

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

P = ParamSpec("P")
R = TypeVar("R")
#: Decorator that adds options to a command.
Options = Callable[[Callable[..., Any]], Callable[..., Any]]


def configured(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of every command that reads settings."""
    for option in (
        click.option("--profile", help="Profile of built-in settings: fake."),
        click.option(
            "--config", type=click.Path(path_type=Path, dir_okay=False), help="YAML file of settings."
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


def refusing(command: Callable[P, R]) -> Callable[P, R]:
    """Turn errors of laserve into a line on standard error and exit status 1."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        from laserve.errors import LaserveError

        try:
            return command(*args, **kwargs)
        except LaserveError as error:
            click.echo(f"laserve: {error.message}", err=True)
            sys.exit(1)

    return wrapped


def json_out(help: str = "File for the results, as JSON.") -> Options:  # noqa: A002 - as click calls it
    """The option for the file of results."""
    return click.option("--json", "out", type=click.Path(path_type=Path, dir_okay=False), help=help)


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
