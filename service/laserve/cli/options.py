"""What commands have in common."""

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

P = ParamSpec("P")
R = TypeVar("R")
#: Adds options to a command.
Options = Callable[[Callable[..., Any]], Callable[..., Any]]


def configured(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that every command with settings takes."""
    for option in (
        click.option("--profile", help="Built-in settings to start from: fake."),
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
    """The option for files of rows, which may be repeated."""
    file = click.Path(path_type=Path, exists=True, dir_okay=False)
    return click.option(option, type=file, multiple=True, required=required, help=help)


def refusing(command: Callable[P, R]) -> Callable[P, R]:
    """Turn our own errors into a line on standard error and exit status 1."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        from laserve.errors import LaserveError

        try:
            return command(*args, **kwargs)
        except LaserveError as error:
            click.echo(f"laserve: {error.message}", err=True)
            sys.exit(1)

    return wrapped


def json_out(help: str = "Write the figures here.") -> Options:  # noqa: A002 - as click calls it
    """The option for the file of figures."""
    return click.option("--json", "out", type=click.Path(path_type=Path, dir_okay=False), help=help)


def cuts(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options for how much of a question's documents is kept."""
    for option in (
        click.option(
            "--passages",
            type=click.IntRange(1),
            help="Cut its documents into passages and keep so many of these.",
        ),
        click.option("--documents", type=click.IntRange(1), help="Cut each question to so many documents."),
    ):
        command = option(command)
    return command
