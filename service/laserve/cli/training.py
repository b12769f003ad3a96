"""Commands that make, or judge, what the service is configured with."""

import asyncio
from pathlib import Path
from typing import Any

import click

from laserve.cli.options import configured, json_out, refusing, rows


@click.command("train-rm")
@configured
@rows("Rows as JSON lines (may be .gz): preferences, right and wrong answers, or `laserve export`.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the adapter."
)
@click.option("--base", help="Folder or packaged name of the base model.")
@click.option("--epochs", type=click.FloatRange(0, min_open=True), help="Passes over the rows.")
@click.option("--learning-rate", type=click.FloatRange(0, min_open=True), help="Highest learning rate.")
@click.option("--batch", type=click.IntRange(1), help="Rows of a step.")
@click.option("--rank", type=click.IntRange(1, 256), help="Rank of the adapter.")
@click.option("--layers", type=click.IntRange(1), help="Adapt only the last so many layers, which is faster.")
@click.option("--max-tokens", type=click.IntRange(64), help="Longest prompt and answer together.")
@click.option(
    "--hold-out", type=click.FloatRange(0, 1, max_open=True), help="Share of each file for the test."
)
@click.option("--rows", type=click.IntRange(1), help="Only the first so many training rows of each file.")
@click.option(
    "--references/--no-references",
    default=None,
    help="Whether right answers that feedback names are answers to learn from; by default they are.",
)
@click.option("--seed", type=click.IntRange(0), help="Of the head's first weights and of the order.")
@refusing
def train_rm(
    config: Path | None, profile: str | None, data: tuple[Path, ...], out: Path, **recipe: Any
) -> None:
    """Train a reward model: a LoRA adapter that `/arms` can load."""
    from laserve.config import load
    from laserve.lab.training.train import run, with_defaults
    from laserve.serve import logging as logs

    settings = load(config=config, profile=profile)
    logs.configure(level=settings.log.level, style=settings.log.format)
    cache = settings.cache_dir.expanduser()
    report = asyncio.run(run(data=data, out=out, cache=cache, recipe=with_defaults(**recipe)))
    for name, row in report["held_out"].items():
        ours, length = row["accuracy"], row["length_only"]
        click.echo(
            f"{name}: accuracy {ours['value']:.3f} (95% {ours['low']:.3f} to {ours['high']:.3f}) on "
            f"{ours['pairs']} held-out pairs; length alone {length['value']:.3f}"
        )
    click.echo(f"{out}: an arm of kind vllm takes it as options.adapter")


@click.command("evaluate-rm")
@configured
@rows("Rows as `laserve train-rm` takes them; repeat for more files.", required=False)
@rows(
    "Pairs of answers that people compared: our rows, or PPE's columns; repeatable.",
    option="--preferences",
    required=False,
)
@rows(
    "Right and wrong answers to the same request: our rows, or PPE's columns; repeatable.",
    option="--correctness",
    required=False,
)
@click.option(
    "--hold-out",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.2,
    show_default=True,
    help="Share of each file that is scored, the last rows; 1 for all.",
)
@click.option("--rows", type=click.IntRange(1), help="Only the first so many of those.")
@click.option(
    "--together",
    is_flag=True,
    help="Tell the files of --data together as well; their qualities must be in one unit.",
)
@json_out()
@click.option(
    "--prior-out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write here what the rows tell of each arm's reward before the first request, as JSON.",
)
@click.option(
    "--prior-n",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="Requests that the prior counts as, at most.",
)
@refusing
def evaluate_rm(config: Path | None, profile: str | None, **options: Any) -> None:
    """Show what the configured arms are good at, on answers of known quality.

    Give --data, --preferences or --correctness, or several of them.
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
@rows("Requests as JSON lines (may be .gz); repeat for more files.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File to write.")
@refusing
def fit_context(config: Path | None, profile: str | None, data: tuple[Path, ...], out: Path) -> None:
    """Make the constants of the context features from a sample of requests."""
    from laserve.config import load
    from laserve.lab.fit_context import fit

    click.echo(asyncio.run(fit(load(config=config, profile=profile), data, out)))
