"""Commands on the log of a service."""

import asyncio
import signal
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import click

from laserve.cli.options import NewFile, configured, json_out, refusing


@click.command()
@configured
@click.option("--out", type=NewFile(), help="File to write; by default standard output.")
@click.option(
    "--since", type=click.FloatRange(0), help="Only decisions made at or after this time, in Unix seconds."
)
@click.option("--task", help="Only decisions of this task.")
@click.option("--with-feedback", is_flag=True, help="Only decisions with feedback.")
@refusing
def export(config: Path | None, profile: str | None, out: Path | None, **wanted: Any) -> None:
    """Export the log as JSON lines: one decision each, with the reward of every candidate."""
    from laserve.config import load
    from laserve.errors import ConfigError
    from laserve.history.export import export_store
    from laserve.lab.output import discard, written
    from laserve.serve.wiring import make_store
    from laserve.storage.base import Wanted

    if out is None and sys.stdout is None:
        raise ConfigError.at("--out", "needed, since standard output is closed")

    def open_output() -> AbstractContextManager[BinaryIO]:
        return nullcontext(sys.stdout.buffer) if out is None else written(out, "--out")

    settings = load(config=config, profile=profile)
    try:
        finished = asyncio.run(
            export_store(make_store(settings, read_only=True), Wanted(**wanted), open_output)
        )
    except BrokenPipeError:
        discard()
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        raise click.ClickException(f"standard output: {error.strerror}") from error
    click.echo(
        f"{settings.database}: {finished.exported} decisions exported, "
        f"{finished.left_out} left out, since their texts are not kept",
        err=True,
    )


@click.command()
@configured
@click.option(
    "--policy",
    "policies",
    multiple=True,
    required=True,
    help="fixed:ARM, random, or a log position, for the configured policy with its state there; repeatable.",
)
@click.option(
    "--since", type=click.FloatRange(0), help="Only decisions made at or after this time, in Unix seconds."
)
@click.option("--task", help="Only decisions of this task.")
@json_out()
@refusing
def ope(config: Path | None, profile: str | None, policies: tuple[str, ...], **options: Any) -> None:
    """Evaluate frozen policies off-policy: their mean rewards on the decisions of the log."""
    from laserve.config import load
    from laserve.lab.ope import run

    asyncio.run(run(load(config=config, profile=profile), policies=policies, **options))


@click.group()
def state() -> None:
    """Inspect the event log and the state folded from it."""


@state.command()
@configured
@click.option("--to", type=click.IntRange(1), help="Verify the first TO events only; by default all.")
@refusing
def verify(config: Path | None, profile: str | None, to: int | None) -> None:
    """Verify the log by a replay from its start; exit status 1 if a check fails."""
    from laserve.config import load
    from laserve.history.verify import verify_store
    from laserve.serve.wiring import make_store

    settings = load(config=config, profile=profile)
    result = asyncio.run(verify_store(make_store(settings, read_only=True), to=to))
    some = "" if to is None else "the first "
    click.echo(
        f"{settings.database}: {some}{result.events} events, {result.feedback} of them feedback, verified"
    )
    click.echo(f"snapshot: {'none' if result.snapshot is None else f'at {result.snapshot}, equal'}")
    click.echo(f"digest: {result.digest}")
