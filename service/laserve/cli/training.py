"""Commands that train or evaluate reward models, or fit the context features."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import click

from laserve.cli.options import INTERRUPTED, NewFile, configured, json_out, refusing, rows, strict


@click.command("train-rm")
@configured
@rows("File of answers of known quality (see `laserve data inspect`); repeatable.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the adapter."
)
@click.option(
    "--base", show_default="smollm2-135m-instruct", help="Folder or packaged name of the base model."
)
@click.option(
    "--epochs", type=click.FloatRange(0, min_open=True), show_default="1", help="Passes over the rows."
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    show_default="0.0002",
    help="Highest learning rate.",
)
@click.option("--batch", type=click.IntRange(1), show_default="8", help="Rows in each step.")
@click.option("--rank", type=click.IntRange(1, 256), show_default="16", help="Rank of the adapter.")
@click.option(
    "--layers",
    type=click.IntRange(1),
    help="Number of last layers to adapt, by default all; fewer are faster.",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(64),
    show_default="1024",
    help="Longest prompt and answer together, in tokens.",
)
@click.option(
    "--hold-out",
    type=click.FloatRange(0, 1, max_open=True),
    show_default="0.2",
    help="Share of each file that is held out for the test.",
)
@click.option(
    "--rows", type=click.IntRange(1), help="Number of training rows of each file to use, from its start."
)
@click.option(
    "--references/--no-references",
    default=None,
    help="Whether the right answer of a row is an answer to learn from; by default it is.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    show_default="0",
    help="Random seed of the head's initial weights and of the order of rows.",
)
@strict
@refusing
def train_rm(
    config: Path | None, profile: str | None, data: tuple[Path, ...], out: Path, strict: bool, **recipe: Any
) -> None:
    """Train a reward model, as a LoRA adapter that `POST /arms` can load."""
    from laserve.config import load
    from laserve.lab.output import counted
    from laserve.lab.training.folder import progress_of
    from laserve.lab.training.train import run, with_defaults
    from laserve.serve import logging as logs

    settings = load(config=config, profile=profile)
    logs.configure(level=settings.log.level, style=settings.log.format)
    cache = settings.cache_dir.expanduser()
    try:
        report = asyncio.run(
            run(data=data, out=out, cache=cache, recipe=with_defaults(**recipe), strict=strict)
        )
    except KeyboardInterrupt:
        click.echo(f"laserve: interrupted; {progress_of(out)}", err=True)
        sys.exit(INTERRUPTED)
    for name, row in report["held_out"].items():
        ours, length = row["accuracy"], row["length_only"]
        pairs, sources = counted(ours["pairs"], "held-out pair"), counted(ours["sources"], "source")
        bounds = "no interval" if ours["low"] is None else f"95% {ours['low']:.3f} to {ours['high']:.3f}"
        click.echo(
            f"{name}: accuracy {ours['value']:.3f} ({bounds}) on {pairs} of {sources}; "
            f"length alone {length['value']:.3f}"
        )
    click.echo(f"{out}: the adapter, for options.adapter of an arm of kind vllm")


@click.command("evaluate-rm")
@configured
@rows("File of answers of known quality (see `laserve data inspect`); repeatable.", required=False)
@rows(
    "File of pairs of answers that people compared; repeatable.",
    option="--preferences",
    required=False,
)
@rows(
    "File of right and wrong answers to each request; repeatable.",
    option="--correctness",
    required=False,
)
@click.option(
    "--hold-out",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.2,
    show_default=True,
    help="Share of each file that is scored, from its end; 1 for all rows.",
)
@click.option("--rows", type=click.IntRange(1), help="Number of rows of that share to score, from its start.")
@click.option(
    "--together",
    is_flag=True,
    help="Also report the files of --data together; their qualities must be in one unit.",
)
@json_out()
@click.option(
    "--prior-out",
    type=NewFile(),
    help="File for a prior of each arm's reward from these rows, as JSON.",
)
@click.option(
    "--prior-n",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="Largest number of requests that the prior counts as.",
)
@strict
@refusing
def evaluate_rm(config: Path | None, profile: str | None, **options: Any) -> None:
    """Evaluate the configured arms on answers of known quality.

    At least one of --data, --preferences and --correctness is required.
    """
    if not any(options[name] for name in ("data", "preferences", "correctness")):
        raise click.UsageError("give --data, --preferences or --correctness")
    from laserve.config import load
    from laserve.lab.reward_models.evaluate import run
    from laserve.serve import logging as logs

    settings = load(config=config, profile=profile)
    logs.configure(level=settings.log.level, style=settings.log.format)
    asyncio.run(run(settings, **options))


@click.command("fit-context")
@configured
@rows("File of requests (see `laserve data inspect`); repeatable.")
@click.option("--out", type=NewFile(), required=True, help="File to write.")
@strict
@refusing
def fit_context(
    config: Path | None, profile: str | None, data: tuple[Path, ...], out: Path, strict: bool
) -> None:
    """Compute the constants of the context features from a sample of requests."""
    from laserve.config import load
    from laserve.lab.fit_context import fit
    from laserve.serve import logging as logs

    settings = load(config=config, profile=profile)
    logs.configure(level=settings.log.level, style=settings.log.format)
    click.echo(asyncio.run(fit(settings, data, out, strict=strict)))
