"""``laserve evaluate-rm``: what the configured arms are good at, on answers of known quality."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from laserve.config import Settings
from laserve.errors import ConfigError
from laserve.evaluation.accuracy import length_only, measure
from laserve.evaluation.intervals import mean
from laserve.evaluation.rows import Group, read, split
from laserve.evaluation.scoring import loaded_arms, score_all
from laserve.selection.arms import Arms
from laserve.types import Vector


async def run(
    settings: Settings, *, data: Sequence[Path], hold_out: float, rows: int | None, out: Path | None
) -> None:
    """Score the held-out groups of each file by every configured arm and print the tables.

    Args:
        hold_out: share of each file's sources that is used, the last ones; 1 for all.
        rows: only the first so many groups of those.
        out: where to write the figures as JSON.

    Raises:
        ConfigError: no arm could be loaded, or a file has no row to score.
        InvalidRequest: a row cannot be read.
    """
    figures: dict[str, Any] = {}
    async with loaded_arms(settings) as arms:
        for path in data:
            groups = await asyncio.to_thread(read, path)
            train, held = split(groups, hold_out) if hold_out < 1 else ([], groups)
            if not held:
                raise ConfigError(f"--data: {path} has no row to score; give --hold-out 1 to score all of it")
            figures[path.name] = await evaluate(arms, held[:rows], train)
            for table in _tables(path.name, figures[path.name]):
                Console().print(table)
    if out:
        await asyncio.to_thread(out.write_text, json.dumps(figures, indent=1) + "\n", encoding="utf-8")


async def evaluate(arms: Arms, groups: Sequence[Group], train: Sequence[Group]) -> dict[str, Any]:
    """Figures of one file.

    Args:
        train: groups from which the length-only row learns whether longer or shorter is better.

    Returns:
        ``accuracy`` by arm and for ``length alone``; ``best_of`` by arm, for ``random`` and ``possible``; and
        ``difference``, by arm and other arm, of what they would have returned.
    """
    found = await score_all(arms, groups)
    picked = {
        name: np.array([_picked(groups[place], by_place[place]) for place in range(len(groups))])
        for name, by_place in found.items()
        if len(by_place) == len(groups)
    }
    sources = [group.source for group in groups]
    rewards = [np.asarray(group.rewards) for group in groups]
    bounds = {"random": [r.mean() for r in rewards], "possible": [r.max() for r in rewards]}
    return {
        "groups": len(groups),
        "accuracy": {
            name: asdict(measure([(groups[place], given) for place, given in by_place.items()]))
            for name, by_place in found.items()
            if by_place
        }
        | {"length alone": asdict(length_only(groups, train or groups))},
        "best_of": {
            name: asdict(mean(np.asarray(values), sources)) for name, values in (picked | bounds).items()
        },
        "difference": {
            ours: {
                theirs: asdict(mean(picked[ours] - picked[theirs], sources))
                for theirs in picked
                if theirs != ours
            }
            for ours in picked
        },
    }


def _picked(group: Group, scores: Vector) -> float:
    """Quality of the answer with the best score; the mean over a tie, which the rows must not break."""
    return float(np.asarray(group.rewards)[scores == np.nanmax(scores)].mean())


def _tables(name: str, figures: Mapping[str, Any]) -> list[Table]:
    accuracy = Table(title=f"{name}: {figures['groups']} groups, share of pairs in the right order")
    for title in ("arm", "accuracy", "95% interval", "pairs"):
        accuracy.add_column(title, justify="left" if title == "arm" else "right")
    for arm, row in figures["accuracy"].items():
        accuracy.add_row(arm, f"{row['value']:.3f}", _interval(row), str(row["pairs"]))
    best = Table(title=f"{name}: quality of the best answer by each arm, in %")
    for title in ("arm", "best of n", "95% interval"):
        best.add_column(title, justify="left" if title == "arm" else "right")
    for arm, row in figures["best_of"].items():
        best.add_row(arm, f"{100 * row['value']:.1f}", _interval(row, 100))
    return [accuracy, best]


def _interval(row: Mapping[str, float], scale: float = 1) -> str:
    digits = 1 if scale > 1 else 3
    return f"{scale * row['low']:.{digits}f} to {scale * row['high']:.{digits}f}"
