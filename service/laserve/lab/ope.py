"""``laserve ope``: off-policy evaluation of frozen policies from the log of a data folder.

The service may run meanwhile.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from laserve.bandit.offpolicy.estimators import ESTIMATORS, CannotSay, Estimate
from laserve.config import Settings
from laserve.history.offpolicy import Evaluator, ModelChange, Report
from laserve.lab.output import write_json
from laserve.serve.wiring import make_policies, make_store
from laserve.storage.base import Wanted


async def run(
    settings: Settings, *, policies: Sequence[str], since: float | None, task: str | None, out: Path | None
) -> None:
    """Print, and write as JSON, the estimated mean reward of each policy.

    Args:
        policies: ``fixed:ARM``, ``random``, or log positions.
        since: Unix seconds; earlier decisions are left out.
        out: where to write the figures.

    Raises:
        ConfigError: there is no store.
        InvalidRequest: a policy is unknown or not frozen.
        StoreError: the database refused.
    """
    store = make_store(settings, read_only=True)
    try:
        await store.open()
        arms = [arm.name for arm in settings.arms]
        policy = make_policies(settings.policy, lambda: arms).get(settings.policy.name)
        evaluator = Evaluator(store=store, policy=policy)
        report = await evaluator.report(policies, Wanted(since=since, task=task))
    finally:
        await store.close()
    for table in _tables(report):
        Console().print(table)
    for crossed in report.changes:
        Console().print(_change(crossed))
    for why, count in report.left_out.items():
        Console().print(f"left out: {count} decisions {why}")
    if out:
        await asyncio.to_thread(write_json, out, asdict(report))


def _tables(report: Report) -> list[Table]:
    values = Table(title="Mean reward, had the policy drawn the arms (95% interval)")
    for title in ("policy", "decisions", "answered", *ESTIMATORS):
        values.add_column(title, justify="left" if title == "policy" else "right")
    for value in report.values:
        cells = [_cell(value.estimates[name]) for name in ESTIMATORS]
        values.add_row(value.policy, str(value.decisions), str(value.answered), *cells)
    values.add_row("drawn arms", "", "", "", _cell(report.logged), "")
    return [values, _rates(report.answer_rates)]


def _rates(rates: Mapping[str, Estimate | CannotSay]) -> Table:
    table = Table(title="Share of decisions that get feedback, had the arm been drawn")
    for title in ("arm", "answer rate"):
        table.add_column(title, justify="left" if title == "arm" else "right")
    for arm, rate in rates.items():
        table.add_row(arm, _cell(rate))
    return table


def _change(crossed: ModelChange) -> str:
    """Number of decisions before a change, and the option that leaves them out."""
    what = f"the reward model of {crossed.arm}" if crossed.what == "arm" else f"the {crossed.what}"
    return (
        f"{crossed.decisions_before} decisions are from before {what} changed; "
        f"--since {crossed.created_at} leaves them out"
    )


def _cell(result: Estimate | CannotSay | str) -> Any:
    match result:
        case Estimate():
            return f"{result.value:.3f} ({result.low:.3f} to {result.high:.3f})"
        case CannotSay(more_decisions=None):
            return "cannot say"
        case CannotSay():
            return f"cannot say; about {result.more_decisions} more decisions"
        case why:
            return why
