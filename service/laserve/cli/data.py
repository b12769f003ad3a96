"""Commands that look at files of rows."""

import sys
from pathlib import Path

import click

from laserve.cli.options import json_out, refusing


@click.group()
def data() -> None:
    """Look at files of rows."""


@data.command()
@click.argument(
    "files", type=click.Path(path_type=Path, exists=True, dir_okay=False), nargs=-1, required=True
)
@click.option(
    "--row", type=click.IntRange(1), default=1, show_default=True, help="Number of the row to show."
)
@json_out("File for the description, as JSON.")
@click.option("--strict", is_flag=True, help="Exit with status 1 if a record cannot be read.")
@refusing
def inspect(files: tuple[Path, ...], row: int, out: Path | None, strict: bool) -> None:
    """Say what files are taken for, show a row as a model reads it, and which commands can use the rows.

    The exit status is 1 if a file holds no record that can be read.
    """
    from laserve.lab.data.inspect import run

    if not run(files, row=row, out=out, strict=strict):
        sys.exit(1)
