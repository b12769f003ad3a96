"""The command line: one thin command each."""

import asyncio
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from pathlib import Path
from typing import Any, BinaryIO, ParamSpec, TypeVar

import click

from laserve import __version__

P = ParamSpec("P")
R = TypeVar("R")


def _configured(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that every command with settings takes."""
    for option in (
        click.option("--profile", help="Built-in settings to start from: fake."),
        click.option(
            "--config", type=click.Path(path_type=Path, dir_okay=False), help="YAML file of settings."
        ),
    ):
        command = option(command)
    return command


def _rows(help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # noqa: A002 - as click calls it
    """The option for files of rows, of which a command needs one at least."""
    file = click.Path(path_type=Path, exists=True, dir_okay=False)
    return click.option("--data", type=file, multiple=True, required=True, help=help)


def _refusing(command: Callable[P, R]) -> Callable[P, R]:
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


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="laserve")
def main() -> None:
    """Best-of-n at inference time, with the reward model chosen per request by a bandit."""


@main.command()
@_configured
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on; 0 for any free one.")
@_refusing
def serve(config: Path | None, profile: str | None, host: str | None, port: int | None) -> None:
    """Run the service."""
    from laserve.config import load
    from laserve.server import run

    server = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    settings = load(config=config, profile=profile, flags={"server": server} if server else {})
    sys.exit(run(settings))


@main.command()
@_configured
@_refusing
def models(config: Path | None, profile: str | None) -> None:
    """Prepare the models of the settings into the cache folder."""
    from laserve.config import load
    from laserve.models import PACKAGED, prepare

    settings = load(config=config, profile=profile)
    for name in (settings.context.encoder, settings.generation.model):
        if name in PACKAGED:
            path = prepare(name, settings.cache_dir.expanduser(), lambda line: click.echo(line, err=True))
            click.echo(f"{name}: {path}")


@main.command("train-rm")
@_configured
@_rows("Rows as JSON lines (may be .gz): preferences, right and wrong answers, or `laserve export`.")
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
@_refusing
def train_rm(
    config: Path | None, profile: str | None, data: tuple[Path, ...], out: Path, **recipe: Any
) -> None:
    """Train a reward model: a LoRA adapter that `/arms` can load."""
    from laserve import logs
    from laserve.config import load
    from laserve.training.train import run, with_defaults

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


@main.command()
@_configured
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write; standard output by default.",
)
@click.option("--since", type=click.FloatRange(0), help="Unix seconds: decisions made then or later.")
@click.option("--task", help="Only this task.")
@click.option("--with-feedback", is_flag=True, help="Only decisions with feedback.")
@_refusing
def export(config: Path | None, profile: str | None, out: Path | None, **wanted: Any) -> None:
    """Write the log as JSON lines: a decision each, with the reward of every candidate."""
    from laserve.app import make_store
    from laserve.config import load
    from laserve.selection.exporting import export_store
    from laserve.storage.base import Wanted

    def to() -> AbstractContextManager[BinaryIO]:
        return nullcontext(sys.stdout.buffer) if out is None else out.open("wb")

    settings = load(config=config, profile=profile)
    try:
        done = asyncio.run(export_store(make_store(settings, read_only=True), Wanted(**wanted), to))
    except BrokenPipeError:  # who reads has had enough
        raise
    except OSError as error:
        raise click.ClickException(f"{out or 'standard output'}: {error.strerror}") from error
    click.echo(
        f"{settings.database}: {done.exported} decisions exported, "
        f"{done.left_out} left out whose texts are not kept",
        err=True,
    )


@main.command("evaluate-rm")
@_configured
@_rows("Rows as `laserve train-rm` takes them; repeat for more files.")
@click.option(
    "--hold-out",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.2,
    show_default=True,
    help="Share of each file that is scored, the last rows; 1 for all.",
)
@click.option("--rows", type=click.IntRange(1), help="Only the first so many of those.")
@click.option(
    "--json", "out", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures here."
)
@_refusing
def evaluate_rm(config: Path | None, profile: str | None, **options: Any) -> None:
    """Show what the configured arms are good at, on answers of known quality."""
    from laserve import logs
    from laserve.config import load
    from laserve.evaluation.reward_models import run

    settings = load(config=config, profile=profile)
    logs.configure(level=settings.log.level, style=settings.log.format)
    asyncio.run(run(settings, **options))


@main.group()
def state() -> None:
    """Look at the event log and what is folded from it."""


@state.command()
@_configured
@_refusing
def verify(config: Path | None, profile: str | None) -> None:
    """Replay the log from nothing and compare; exit status 1 when anything does not hold."""
    from laserve.app import make_store
    from laserve.config import load
    from laserve.selection.verification import verify_store

    settings = load(config=config, profile=profile)
    result = asyncio.run(verify_store(make_store(settings, read_only=True)))
    click.echo(f"{settings.database}: {result.events} events, {result.feedback} of them feedback, verified")
    click.echo(f"snapshot: {'none' if result.snapshot is None else f'at {result.snapshot}, equal'}")
    click.echo(f"digest: {result.digest}")


@main.command()
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="A running service.")
@click.option("--api-key", envvar="LASERVE_API_KEY", help="Bearer token, where the service asks for one.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Questions as JSON lines (may be .gz) instead of the built-in ones.",
)
@click.option("--rows", type=click.IntRange(1), help="Only the first so many questions.")
@click.option("--documents", type=click.IntRange(1), help="Cut each question to so many documents.")
@click.option(
    "--passages", type=click.IntRange(1), help="Cut its documents into passages and keep so many of these."
)
@click.option("-n", "n", type=click.IntRange(1, 64), default=8, show_default=True, help="Candidates.")
@click.option(
    "--concurrency", type=click.IntRange(1, 256), default=4, show_default=True, help="Requests at once."
)
@click.option(
    "--json", "out", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures here."
)
@_refusing
def demo(**options: Any) -> None:
    """Ask a running service questions, send the right answers back, and show what it learned."""
    from laserve.evaluation.demo import run

    asyncio.run(run(**options))


@main.command("fit-context")
@_configured
@_rows("Requests as JSON lines (may be .gz); repeat for more files.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File to write.")
@_refusing
def fit_context(config: Path | None, profile: str | None, data: tuple[Path, ...], out: Path) -> None:
    """Make the constants of the context features from a sample of requests."""
    from laserve.config import load
    from laserve.evaluation.context_fit import fit

    click.echo(asyncio.run(fit(load(config=config, profile=profile), data, out)))


@main.group()
def bench() -> None:
    """Measure, always as ratios within one run."""


@bench.command()
@click.option(
    "--json", "out", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures here."
)
@click.option("--requests", type=click.IntRange(20), default=400, show_default=True, help="Requests a side.")
@_refusing
def overhead(out: Path | None, requests: int) -> None:
    """What laserve adds to an answer: fakes behind it, against a bare endpoint on the same server."""
    from laserve.bench.overhead import run

    run(requests=requests, out=out)


@bench.command()
@_configured
@click.option(
    "--json", "out", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures here."
)
@click.option(
    "--repetitions", type=click.IntRange(1), default=3, show_default=True, help="How often each fault."
)
@click.option("--fault", multiple=True, help="Only this fault; repeat for more.")
@_refusing
def faults(**options: Any) -> None:
    """Break a service of its own under load; exit status 1 when anything acknowledged is lost or doubled."""
    from laserve.bench.faults import run

    run(**options)


@bench.command("scoring")
@_configured
@click.option(
    "--json",
    "out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the figures here, and a PNG beside.",
)
@click.option("--quick", is_flag=True, help="Fewer repetitions, lengths and numbers of candidates.")
@_refusing
def bench_scoring(config: Path | None, profile: str | None, out: Path | None, quick: bool) -> None:
    """Scoring n candidates of one prompt: the `vllm` arm against the usual padded batch."""
    from laserve.bench.scoring import run
    from laserve.config import load

    run(load(config=config, profile=profile), quick=quick, out=out)


@bench.command("bandit")
@click.option(
    "--json",
    "out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the figures here, and a PNG beside.",
)
@click.option("--quick", is_flag=True, help="Fewer repetitions, simulated worlds and requests.")
@_refusing
def bench_bandit(out: Path | None, quick: bool) -> None:
    """What a choice and a lesson take, beside mabwiser; what policies give away in simulated worlds."""
    from laserve.bench.bandit import run

    run(quick=quick, out=out)
