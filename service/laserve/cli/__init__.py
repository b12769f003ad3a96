"""The command line: one thin function for each command."""

import click

from laserve import __version__
from laserve.cli.bench import bench
from laserve.cli.data import data
from laserve.cli.doctor import doctor
from laserve.cli.log import export, ope, state
from laserve.cli.serving import demo, models, serve
from laserve.cli.training import evaluate_rm, fit_context, train_rm

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="laserve")
def main() -> None:
    """Best-of-n at inference time, with the reward model chosen per request by a bandit."""


for _command in (
    bench,
    data,
    demo,
    doctor,
    evaluate_rm,
    export,
    fit_context,
    models,
    ope,
    serve,
    state,
    train_rm,
):
    main.add_command(_command)
