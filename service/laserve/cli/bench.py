"""Commands of the benchmarks."""

from pathlib import Path
from typing import Any

import click

from laserve.cli.options import configured, cuts, json_out, refusing, rows, strict


@click.group()
def bench() -> None:
    """Run a benchmark; all results are ratios within one run."""


@bench.command()
@json_out()
@click.option(
    "--requests", type=click.IntRange(20), default=400, show_default=True, help="Requests to each side."
)
@refusing
def overhead(out: Path | None, requests: int) -> None:
    """Measure the overhead of laserve, with fakes, against a bare endpoint on the same server."""
    from laserve.lab.bench.overhead import run

    run(requests=requests, out=out)


@bench.command()
@configured
@json_out()
@click.option(
    "--repetitions", type=click.IntRange(1), default=3, show_default=True, help="Repetitions of each fault."
)
@click.option("--fault", multiple=True, help="Only this fault; repeat for more.")
@refusing
def faults(**options: Any) -> None:
    """Inject faults into a service under load; exit status 1 if acknowledged data is lost or doubled."""
    from laserve.lab.bench.faults.run import run

    run(**options)


@bench.command("scoring")
@configured
@json_out("File for the results, as JSON; a PNG is written beside it.")
@click.option("--quick", is_flag=True, help="Fewer repetitions, lengths and numbers of candidates.")
@refusing
def bench_scoring(config: Path | None, profile: str | None, out: Path | None, quick: bool) -> None:
    """Compare scoring of n candidates of one prompt by the `vllm` arm and by a padded batch."""
    from laserve.config import load
    from laserve.lab.bench.scoring.run import run

    run(load(config=config, profile=profile), quick=quick, out=out)


@bench.command()
@json_out()
@click.option("--logs", type=click.IntRange(1), default=1000, show_default=True, help="Logs of each kind.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Random seed.")
@refusing
def coverage(out: Path | None, logs: int, seed: int) -> None:
    """Measure the coverage of 95% intervals, of `laserve ope` and of reports, on data with known values."""
    from laserve.lab.bench.coverage.run import run

    run(logs=logs, seed=seed, out=out)


@bench.command()
@configured
@json_out()
@click.option(
    "--limit",
    "limit_s",
    type=click.FloatRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    help="Seconds after which the service is stopped, if not all arms have loaded.",
)
@refusing
def start(config: Path | None, profile: str | None, out: Path | None, limit_s: float) -> None:
    """Start a service with its own data folder; measure the seconds until ready, and memory by process."""
    from laserve.config import load
    from laserve.lab.bench.start import run

    load(config=config, profile=profile)  # refuses wrong settings before the service is started
    arguments = [f"--profile={profile}"] if profile else []
    run(arguments + ([f"--config={config}"] if config else []), limit_s=limit_s, out=out)


@bench.command("selection")
@configured
@rows(
    "File of questions with right answers, or of answers of known quality (see `laserve data inspect`); "
    "repeatable.",
    required=False,
)
@click.option(
    "--pool",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Parquet file of candidates, scores and qualities; built from --data if it does not exist.",
)
@json_out()
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the report, as HTML and Markdown.",
)
@click.option("--rows", type=click.IntRange(1), help="Number of rows of each file to use, from its start.")
@cuts
@click.option(
    "--concurrency",
    "at_once",
    type=click.IntRange(1, 256),
    default=4,
    show_default=True,
    help="Questions processed at once.",
)
@click.option(
    "--trained-on",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="JSON file {arm: [ids or sources]}: training rows of each arm, which it must not score.",
)
@click.option(
    "--cross-fit",
    multiple=True,
    metavar="NAME=ARM,ARM",
    help="Treat arms that were trained alike on different rows as one arm; each row is scored by a part that "
    "was not trained on it. Repeatable.",
)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    default=("linucb",),
    show_default=True,
    help="Learner to replay; repeatable. The findings are about the first one.",
)
@click.option(
    "--orders", type=click.IntRange(1), default=20, show_default=True, help="Random orders of the questions."
)
@click.option(
    "--shadow-share",
    type=click.FloatRange(0, 1),
    default=0.25,
    show_default=True,
    help="Share of the requests on which full learners see the rewards of all arms.",
)
@strict
@refusing
def bench_selection(config: Path | None, profile: str | None, **options: Any) -> None:
    """Report on the value of choosing reward models: policies replayed over a pool of your questions."""
    from laserve.config import load
    from laserve.lab.selection import run
    from laserve.serve import logging as logs

    settings = load(config=config, profile=profile)
    logs.configure(level=settings.log.level, style=settings.log.format)
    run(settings, **options)


@bench.command("bandit")
@json_out("File for the results, as JSON; a PNG is written beside it.")
@click.option("--quick", is_flag=True, help="Fewer repetitions, simulated worlds and requests.")
@refusing
def bench_bandit(out: Path | None, quick: bool) -> None:
    """Measure the time of a choice and an update, beside mabwiser, and regret in simulated worlds."""
    from laserve.lab.bench.bandit.run import run

    run(quick=quick, out=out)


@bench.command("traffic")
@json_out("File for the results, as JSON; a PNG is written beside it.")
@click.option("--quick", is_flag=True, help="Fewer and shorter simulated worlds.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Random seed.")
@refusing
def bench_traffic(out: Path | None, quick: bool, seed: int) -> None:
    """Simulate how much feedback the default policy needs to be better than the best single reward model."""
    from laserve.lab.bench.traffic.run import run

    run(quick=quick, seed=seed, out=out)
