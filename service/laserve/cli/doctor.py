"""The command that examines a configuration before it is served."""

import sys
from pathlib import Path

import click

from laserve.cli.options import configured, json_out, refusing


@click.command()
@configured
@json_out("File for the report, as JSON.")
@refusing
def doctor(config: Path | None, profile: str | None, out: Path | None) -> None:
    """Say what a configuration will need, and what would go wrong, without starting or writing anything.

    The exit status is 1 if a check fails that would stop the start.
    """
    from laserve.config import load
    from laserve.lab.output import Cell, Table, show, write_json
    from laserve.serve.doctor.examine import examine
    from laserve.serve.doctor.report import gib, total

    report = examine(load(config=config, profile=profile))
    resources = dict.fromkeys(part.resource for part in report.needs)
    needs = [
        Table(
            title=f"{resource.capitalize()}: about {gib(total(report.needs, resource))}",
            columns=["part", "size", "how"],
            rows=[
                [part.part, "unknown" if part.bytes is None else gib(part.bytes), part.how]
                for part in report.needs
                if part.resource == resource
            ],
            texts=True,
        )
        for resource in resources
    ]
    tones = {
        "ok": Cell(text="ok", tone="up"),
        "warning": Cell(text="warning"),
        "error": Cell(text="error", tone="down"),
    }
    checks = Table(
        title="Checks",
        columns=["status", "check", "fact, and what to do"],
        rows=[
            [
                tones[finding.status],
                finding.check,
                finding.fact + (f" -> {finding.remedy}" if finding.remedy else ""),
            ]
            for finding in report.findings
        ],
        texts=True,
    )
    cores = f"{report.machine.processor}, {report.machine.cores:.3g} cores"
    show(*needs, f"Machine: {cores}, {gib(report.machine.usable_memory)} of memory", checks)
    if out:
        write_json(out, report.to_json())
    sys.exit(1 if report.status == "error" else 0)
