"""``python tests/nets renew`` writes the documents anew; ``record`` and ``add`` keep a new log."""

import json
import os
import sys
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parents[1]))
# Settings of the machine must not leak into what is recorded.
for _name in [name for name in os.environ if name.startswith("LASERVE_") or name in ("HOST", "PORT")]:
    del os.environ[_name]

from nets import documents, logs  # noqa: E402 - behind the path to it


@click.group()
def main() -> None:
    """What a move of modules must leave as it is."""


@main.command()
def renew() -> None:
    """Write the documents of the present code in place of the golden ones."""
    for name in documents.renew():
        click.echo(f"changed: {name}")


@main.command()
@click.argument("name", type=click.Choice(sorted(logs.SCRIPTS)))
def record(name: str) -> None:
    """Record the log of a script that has none yet."""
    try:
        logs.record(name)
    except FileExistsError as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.argument("name")
@click.argument("database", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--settings", default="{}", help="JSON by section: what a service starts over it with.")
def add(name: str, database: Path, settings: str) -> None:
    """Keep a database that a service of the fake profile has written and closed."""
    try:
        logs.add(name, database, settings=json.loads(settings))
    except FileExistsError as error:
        raise click.ClickException(str(error)) from error


main(prog_name="python tests/nets")
