"""Benchmark of faults: a service under load with faults caused on purpose, compared with its clients' ledger.

Nothing that was acknowledged may be lost, and no feedback may be stored twice, even if its client
has repeated it.
"""

import asyncio
import signal
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from laserve.errors import ConfigError, LaserveError
from laserve.history.verify import verify_store
from laserve.lab.bench.faults.load import Clients, compare
from laserve.lab.bench.faults.subject import Subject, settings_of
from laserve.lab.bench.faults.trial import FAULTS, Trial
from laserve.lab.output import Table, machine, show, write_json
from laserve.serve.wiring import make_store

CLIENTS = 8
#: Faults that need a vLLM engine in the service.
_ENGINE = ("engine-killed",)


def run(
    *, config: Path | None, profile: str | None, fault: Sequence[str], repetitions: int, out: Path | None
) -> None:
    """Cause faults, print a table, and write the figures to `out`.

    Keys: ``machine``, ``model``, ``clients``, ``left_out`` and ``faults``: fault -> ``repetitions``,
    ``in_flight`` (largest number of pending requests at the fault), ``decisions`` and
    ``feedback`` (acknowledged), ``lost_decisions``, ``lost_feedback``, ``doubled``, ``ready_median_s`` and
    ``ready_max_s`` (from the kill, or from the end of a fault that lasts), ``healthz_max_ms`` (meanwhile).

    Args:
        fault: names in `FAULTS`; empty for all that the settings allow.
        repetitions: repetitions of each fault.
        out: JSON file.

    Raises:
        ConfigError: a fault is unknown, or the settings allow none of the faults.
        LaserveError: something was lost or doubled, or the service did not recover.
    """
    if unknown := set(fault) - FAULTS.keys():
        raise ConfigError.at("--fault", f"no {min(unknown)!r}; there are: {', '.join(FAULTS)}")
    arguments = [f"--profile={profile}"] if profile else []
    arguments += [f"--config={config.absolute()}"] if config else []
    with tempfile.TemporaryDirectory(prefix="laserve-faults-") as folder:
        settings = settings_of(config, profile, Path(folder))
        wanted = [name for name in FAULTS if name in (fault or FAULTS)]
        left_out = [name for name in wanted if name in _ENGINE and settings.generation.kind != "vllm"]
        if left_out:
            _tell(f"left out, since the service has no vLLM engine: {', '.join(left_out)}")
        chosen = [name for name in wanted if name not in left_out]
        if not chosen:
            raise ConfigError.at(
                "--fault", f"generation.kind {settings.generation.kind} allows none of these"
            )
        results = asyncio.run(_run(Subject(settings, arguments, Path(folder)), chosen, repetitions))
    figures: dict[str, Any] = {
        "machine": machine(),
        "model": settings.generation.model,
        "clients": CLIENTS,
        "left_out": left_out,
        "faults": results,
    }
    show(_table(figures), figures["machine"])
    if out:
        write_json(out, figures)
    judge(results)


def judge(results: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise LaserveError when acknowledged decisions or feedback were lost or doubled."""
    kinds = ("lost_decisions", "lost_feedback", "doubled")
    losses = [
        f"{name}: {result[kind]} {kind}" for name, result in results.items() for kind in kinds if result[kind]
    ]
    if losses:
        raise LaserveError("; ".join(losses))


def _table(figures: Mapping[str, Any]) -> Table:
    formats = {
        "repetitions": ("times", "{}"),
        "in_flight": ("in flight", "{}"),
        "decisions": ("decisions", "{}"),
        "feedback": ("feedback", "{}"),
        "lost_decisions": ("decisions lost", "{}"),
        "lost_feedback": ("feedback lost", "{}"),
        "doubled": ("doubled", "{}"),
        "ready_median_s": ("ready s", "{:.2f}"),
        "ready_max_s": ("at most", "{:.2f}"),
        "healthz_max_ms": ("healthz ms", "{:.0f}"),
    }
    return Table(
        title=f"{figures['clients']} clients, {figures['model']}",
        columns=("fault", *(title for title, _ in formats.values())),
        rows=[
            (fault, *(form.format(result[key]) for key, (_, form) in formats.items()))
            for fault, result in figures["faults"].items()
        ],
    )


def _tell(line: str) -> None:
    """Write a line on standard error."""
    sys.stderr.write(line + "\n")


async def _run(subject: Subject, names: Sequence[str], repetitions: int) -> dict[str, dict[str, Any]]:
    results = {}
    try:
        _tell("starting the service")
        await subject.start()
        for name in names:
            results[name] = await _try(subject, name, repetitions)
        await subject.end(signal.SIGTERM)
    finally:
        await subject.close()
    return results


async def _try(subject: Subject, name: str, repetitions: int) -> dict[str, Any]:
    clients = Clients(connected=lambda: subject.client, count=CLIENTS)
    trial = Trial(subject=subject, clients=clients)
    async with clients.working():
        for repetition in range(1, repetitions + 1):
            await trial.repeat(name)
            _tell(f"{name} {repetition}/{repetitions}: ready again after {trial.ready_s[-1]:.2f} s")
    damage = compare(clients.ledger, await subject.stored(clients.ledger.decisions))
    await verify_store(make_store(subject.settings, read_only=True))
    return {
        "repetitions": repetitions,
        "in_flight": trial.in_flight,
        "decisions": len(clients.ledger.decisions),
        "feedback": len(clients.ledger.feedback),
        **asdict(damage),
        "ready_median_s": statistics.median(trial.ready_s),
        "ready_max_s": max(trial.ready_s),
        "healthz_max_ms": max(trial.healthz_ms, default=0.0),
    }
