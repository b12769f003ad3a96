"""``laserve ope``: off-policy evaluation of frozen policies from the log of a data folder.

The service may run meanwhile.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from laserve.bandit.offpolicy.estimators import ESTIMATORS, CannotSay, Estimate
from laserve.config import Settings
from laserve.history.offpolicy import Evaluator, ModelChange, Report
from laserve.lab.output import Table, show, write_json
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
        evaluator = Evaluator(store=store, policy=policy, param="--policy")
        report = await evaluator.report(policies, Wanted(since=since, task=task))
    finally:
        await store.close()
    left_out = [f"left out: {count} decisions {why}" for why, count in report.left_out.items()]
    rates = [_rates(report.answer_rates)] if report.answer_rates else []
    show(_values(report), *rates, *map(_change, report.changes), *left_out)
    if out:
        await asyncio.to_thread(write_json, out, asdict(report))


def _values(report: Report) -> Table:
    rows = [
        (
            value.policy,
            str(value.decisions),
            str(value.answered),
            *(_cell(value.estimates[name]) for name in ESTIMATORS),
        )
        for value in report.values
    ]
    return Table(
        title="Mean reward, had the policy drawn the arms (95% interval)",
        columns=("policy", "decisions", "answered", *ESTIMATORS),
        rows=[*rows, ("drawn arms", "", "", "", _cell(report.logged), "")],
    )


def _rates(rates: Mapping[str, Estimate | CannotSay]) -> Table:
    return Table(
        title="Share of decisions that get feedback, had the arm been drawn",
        columns=("arm", "answer rate"),
        rows=[(arm, _cell(rate)) for arm, rate in rates.items()],
    )


def _change(crossed: ModelChange) -> str:
    """Number of decisions before a change, and the option that leaves them out."""
    what = f"the reward model of {crossed.arm}" if crossed.what == "arm" else f"the {crossed.what}"
    return (
        f"{crossed.decisions_before} decisions are from before {what} changed; "
        f"--since {crossed.created_at} leaves them out"
    )


def _cell(result: Estimate | CannotSay | str) -> str:
    match result:
        case Estimate():
            return f"{result.value:.3f} ({result.low:.3f} to {result.high:.3f})"
        case CannotSay(more_decisions=None):
            return "cannot say"
        case CannotSay():
            return f"cannot say; about {result.more_decisions} more decisions"
        case why:
            return why
