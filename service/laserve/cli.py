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


def _rows(
    help: str,  # noqa: A002 - as click calls it
    *,
    option: str = "--data",
    required: bool = True,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option for files of rows, which may be repeated."""
    file = click.Path(path_type=Path, exists=True, dir_okay=False)
    return click.option(option, type=file, multiple=True, required=required, help=help)


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


@main.command()
@_configured
@click.option(
    "--policy",
    "policies",
    multiple=True,
    required=True,
    help="fixed:ARM, random, or a log position: the configured policy with what it had learned there; "
    "repeat for more.",
)
@click.option("--since", type=click.FloatRange(0), help="Unix seconds: decisions made then or later.")
@click.option("--task", help="Only this task.")
@click.option(
    "--json", "out", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures here."
)
@_refusing
def ope(config: Path | None, profile: str | None, policies: tuple[str, ...], **options: Any) -> None:
    """Off-policy evaluation: what frozen policies would have earned on the decisions of the log."""
    from laserve.config import load
    from laserve.evaluation.offpolicy import run

    asyncio.run(run(load(config=config, profile=profile), policies=policies, **options))


@main.command("evaluate-rm")
@_configured
@_rows("Rows as `laserve train-rm` takes them; repeat for more files.", required=False)
@_rows(
    "Pairs of answers that people compared: our rows, or PPE's columns; repeatable.",
    option="--preferences",
    required=False,
)
@_rows(
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
@click.option(
    "--json", "out", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures here."
)
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
@_refusing
def evaluate_rm(config: Path | None, profile: str | None, **options: Any) -> None:
    """Show what the configured arms are good at, on answers of known quality.

    Give --data, --preferences or --correctness, or several of them.
    """
    if not any(options[name] for name in ("data", "preferences", "correctness")):
        raise click.UsageError("give --data, --preferences or --correctness")
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


@bench.command()
@click.option(
    "--json", "out", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures here."
)
@click.option("--logs", type=click.IntRange(1), default=1000, show_default=True, help="Logs of each kind.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Makes a run repeatable.")
@_refusing
def coverage(out: Path | None, logs: int, seed: int) -> None:
    """Whether the 95% intervals of off-policy evaluation hold: simulated logs with known values."""
    from laserve.bench.coverage import run

    run(logs=logs, seed=seed, out=out)


@bench.command("selection")
@_configured
@_rows(
    "Questions with right answers, LongBench's rows, SQuAD's JSON, or stored answers of known quality; "
    "repeat for more files.",
    required=False,
)
@click.option(
    "--pool",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Parquet file of candidates, scores and qualities; built from --data where it is not there.",
)
@click.option(
    "--json", "out", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures here."
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the page of HTML and the Markdown into this folder.",
)
@click.option("--rows", type=click.IntRange(1), help="Only the first so many rows of each file.")
@click.option("--documents", type=click.IntRange(1), help="Cut each question to so many documents.")
@click.option(
    "--passages", type=click.IntRange(1), help="Cut its documents into passages and keep so many of these."
)
@click.option(
    "--concurrency",
    "at_once",
    type=click.IntRange(1, 256),
    default=4,
    show_default=True,
    help="Questions at once.",
)
@click.option(
    "--trained-on",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="JSON {arm: [ids or sources]}: rows that an arm was trained on, which it must not score.",
)
@click.option(
    "--cross-fit",
    multiple=True,
    metavar="NAME=ARM,ARM",
    help="Count arms that were trained alike on different rows as one; each row is scored by a part that has "
    "not seen it. Repeatable.",
)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    default=("linucb",),
    show_default=True,
    help="Learner to replay; repeat for more, the first is the one that findings are about.",
)
@click.option(
    "--orders", type=click.IntRange(1), default=20, show_default=True, help="Random orders of the questions."
)
@click.option(
    "--shadow-share",
    type=click.FloatRange(0, 1),
    default=0.25,
    show_default=True,
    help="Share of the requests on which full learners see all arms.",
)
@_refusing
def bench_selection(config: Path | None, profile: str | None, **options: Any) -> None:
    """What choosing reward models is worth on your questions: policies replayed over a pool, and a report."""
    from laserve import logs
    from laserve.bench.selection import run
    from laserve.config import load

    settings = load(config=config, profile=profile)
    logs.configure(level=settings.log.level, style=settings.log.format)
    run(settings, **options)


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
