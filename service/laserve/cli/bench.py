"""Commands that measure."""

from pathlib import Path
from typing import Any

import click

from laserve.cli.options import configured, cuts, json_out, refusing, rows


@click.group()
def bench() -> None:
    """Measure, always as ratios within one run."""


@bench.command()
@json_out()
@click.option("--requests", type=click.IntRange(20), default=400, show_default=True, help="Requests a side.")
@refusing
def overhead(out: Path | None, requests: int) -> None:
    """What laserve adds to an answer: fakes behind it, against a bare endpoint on the same server."""
    from laserve.lab.bench.overhead import run

    run(requests=requests, out=out)


@bench.command()
@configured
@json_out()
@click.option(
    "--repetitions", type=click.IntRange(1), default=3, show_default=True, help="How often each fault."
)
@click.option("--fault", multiple=True, help="Only this fault; repeat for more.")
@refusing
def faults(**options: Any) -> None:
    """Break a service of its own under load; exit status 1 when anything acknowledged is lost or doubled."""
    from laserve.lab.bench.faults.run import run

    run(**options)


@bench.command("scoring")
@configured
@json_out("Write the figures here, and a PNG beside.")
@click.option("--quick", is_flag=True, help="Fewer repetitions, lengths and numbers of candidates.")
@refusing
def bench_scoring(config: Path | None, profile: str | None, out: Path | None, quick: bool) -> None:
    """Scoring n candidates of one prompt: the `vllm` arm against the usual padded batch."""
    from laserve.config import load
    from laserve.lab.bench.scoring.run import run

    run(load(config=config, profile=profile), quick=quick, out=out)


@bench.command()
@json_out()
@click.option("--logs", type=click.IntRange(1), default=1000, show_default=True, help="Logs of each kind.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Makes a run repeatable.")
@refusing
def coverage(out: Path | None, logs: int, seed: int) -> None:
    """Whether the 95% intervals of off-policy evaluation hold: simulated logs with known values."""
    from laserve.lab.bench.coverage.run import run

    run(logs=logs, seed=seed, out=out)


@bench.command("selection")
@configured
@rows(
    "Questions with right answers, LongBench's rows, SQuAD's JSON, or stored answers of known quality; "
    "repeat for more files.",
    required=False,
)
@click.option(
    "--pool",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Parquet file of candidates, scores and qualities; built from --data where it is not there.",
)
@json_out()
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the page of HTML and the Markdown into this folder.",
)
@click.option("--rows", type=click.IntRange(1), help="Only the first so many rows of each file.")
@cuts
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
@refusing
def bench_selection(config: Path | None, profile: str | None, **options: Any) -> None:
    """What choosing reward models is worth on your questions: policies replayed over a pool, and a report."""
    from laserve.config import load
    from laserve.lab.selection import run
    from laserve.serve import logging as logs

    settings = load(config=config, profile=profile)
    logs.configure(level=settings.log.level, style=settings.log.format)
    run(settings, **options)


@bench.command("bandit")
@json_out("Write the figures here, and a PNG beside.")
@click.option("--quick", is_flag=True, help="Fewer repetitions, simulated worlds and requests.")
@refusing
def bench_bandit(out: Path | None, quick: bool) -> None:
    """What a choice and a lesson take, beside mabwiser; what policies give away in simulated worlds."""
    from laserve.lab.bench.bandit.run import run

    run(quick=quick, out=out)
