"""``laserve evaluate-rm``: accuracy of the configured arms on answers of known quality."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from laserve.config import Settings
from laserve.errors import ConfigError
from laserve.lab.data.rows import Group, S, read, split
from laserve.lab.output import Table, show, write_json
from laserve.lab.reward_models.accuracy import length_only, measure
from laserve.lab.reward_models.ppe import evaluate as ppe
from laserve.lab.reward_models.ppe.evaluate import CORRECTNESS, PREFERENCES
from laserve.lab.reward_models.ppe.report import tables
from laserve.lab.reward_models.prior import PRIOR_N, Qualities, prior, write
from laserve.lab.reward_models.scores import Scores, score_all
from laserve.lab.statistics import SHARE, mean
from laserve.serve.lifespan import scoring
from laserve.serve.wiring import make_scorers
from laserve.types import Vector

#: Key of the figures over all files of `data` together.
TOGETHER = "together"


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Held-out groups with the scores of every arm."""

    groups: Sequence[Group]
    #: Training groups, which decide whether longer or shorter is better for the length-only row.
    train: Sequence[Group]
    scores: Scores


async def run(
    settings: Settings,
    *,
    data: Sequence[Path] = (),
    preferences: Sequence[Path] = (),
    correctness: Sequence[Path] = (),
    hold_out: float,
    rows: int | None,
    out: Path | None,
    together: bool = False,
    prior_out: Path | None = None,
    prior_n: int = PRIOR_N,
) -> None:
    """Score the held-out rows of all files by every configured arm, print the tables and write the results.

    Args:
        data: files in a form of `laserve.lab.data.rows.read`; each file has its own figures.
        preferences: files in a form of `read_preferences`; their figures are common, by domain.
        correctness: files in a form of `read_correctness`, likewise.
        hold_out: share of each file's sources that is scored, the last ones; 1 for all.
        rows: number of these rows of each file that are scored, the first ones; None for all.
        out: where to write the figures as JSON.
        together: whether to add figures over all files of `data`; their qualities must have one unit.
        prior_out: where to write the prior that `laserve.lab.reward_models.prior.prior` makes of data and
            correctness.
        prior_n: largest number of pseudo-observations of an arm in the prior.

    Raises:
        ConfigError: no arm could be loaded, a file has no row to score, or no row gives a prior.
        InvalidRequest: a row cannot be read.
    """
    if prior_out and not (data or correctness):
        raise ConfigError.at("--prior-out", "needs --data or --correctness; a preference is not a quality")
    files = [(path.name, *_held(read, path, hold_out, rows)) for path in data]
    sets = [
        (kind, [row for path in paths for row in _held(kind.read, path, hold_out, rows)[1]])
        for kind, paths in ((PREFERENCES, preferences), (CORRECTNESS, correctness))
        if paths
    ]
    figures: dict[str, Any] = {}
    qualities: list[Qualities] = []
    scored: list[Scored] = []
    async with scoring(make_scorers(settings)) as arms:
        for name, train, groups in files:
            scored.append(Scored(groups=groups, train=train, scores=await score_all(arms, groups)))
            figures[name] = figures_of(scored[-1])
            qualities.append(_of_groups(figures[name], arms.ready))
            show(*_tables(name, figures[name]))
        if together and len(scored) > 1:
            figures[TOGETHER] = figures_of(joined(scored))
            show(*_tables(TOGETHER, figures[TOGETHER]))
        for kind, answers in sets:
            figures[kind.name] = await ppe.evaluate(arms, kind, answers)
            show(*tables(kind, figures[kind.name]))
    if CORRECTNESS.name in figures:
        qualities.append(_of_answers(figures[CORRECTNESS.name]))
    if out:
        await asyncio.to_thread(write_json, out, figures)
    if prior_out:
        if not (expected := prior(qualities, limit=prior_n)):
            raise ConfigError.at("--prior-out", "no arm scored every row of --data and --correctness")
        await asyncio.to_thread(write, prior_out, expected)


def _held(
    read_file: Callable[[Path], list[S]], path: Path, hold_out: float, rows: int | None
) -> tuple[list[S], list[S]]:
    """Training rows of a file, and the first of its held-out rows.

    Raises:
        ConfigError: no row is held out.
    """
    all_rows = read_file(path)
    train, held = split(all_rows, hold_out) if hold_out < 1 else ([], all_rows)
    if not held:
        raise ConfigError(
            f"{path} has no row to score; give --hold-out 1 to score all of it", param="--hold-out"
        )
    return train, held[:rows]


def joined(files: Sequence[Scored]) -> Scored:
    """Groups and scores of all files as those of one file."""
    arms = dict.fromkeys(arm for file in files for arm in file.scores)
    scores: Scores = {arm: {} for arm in arms}
    groups: list[Group] = []
    for file in files:
        for arm, by_index in file.scores.items():
            scores[arm] |= {len(groups) + index: given for index, given in by_index.items()}
        groups += file.groups
    return Scored(groups=groups, train=[group for file in files for group in file.train], scores=scores)


def figures_of(scored: Scored) -> dict[str, Any]:
    """Figures of one file.

    Returns:
        ``groups`` and ``sources``; ``accuracy`` by arm and for ``length alone``; ``best_of`` by arm,
        for ``random`` and ``possible``; and ``difference``, by arm and other arm, of the qualities of
        their best answers.
    """
    groups, train, scores = scored.groups, scored.train, scored.scores
    picked = {
        name: np.array([_picked(groups[index], by_index[index]) for index in range(len(groups))])
        for name, by_index in scores.items()
        if len(by_index) == len(groups)
    }
    sources = [group.source for group in groups]
    rewards = [np.asarray(group.rewards) for group in groups]
    bounds = {"random": [r.mean() for r in rewards], "possible": [r.max() for r in rewards]}
    return {
        "groups": len(groups),
        "sources": len(set(sources)),
        "accuracy": {
            name: asdict(measure([(groups[index], given) for index, given in by_index.items()]))
            for name, by_index in scores.items()
            if by_index
        }
        | {"length alone": asdict(length_only(groups, train or groups))},
        "best_of": {
            name: asdict(mean(np.asarray(values), sources, within=SHARE))
            for name, values in (picked | bounds).items()
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
    """Quality of the answer with the best score; the mean over a tie, whatever the order of the answers."""
    return float(np.asarray(group.rewards)[scores == np.nanmax(scores)].mean())


def _of_groups(figures: Mapping[str, Any], arms: Sequence[str]) -> Qualities:
    """Mean qualities of the arms' best answers, for arms that scored every group of the file."""
    best = figures["best_of"]
    return Qualities(
        by_arm={arm: best[arm]["value"] for arm in arms if arm in best},
        rows=figures["groups"],
        sources=figures["sources"],
    )


def _of_answers(figures: Mapping[str, Any]) -> Qualities:
    """Mean qualities of the arms on right and wrong answers: the last values of the best-of-k curves."""
    return Qualities(
        by_arm={
            arm: one["overall"]["end"]["value"]
            for arm, one in figures["arms"].items()
            if arm != ppe.LONGEST and arm not in figures["unscored"]
        },
        rows=figures["rows"],
        sources=figures["sources"],
    )


def _tables(name: str, figures: Mapping[str, Any]) -> list[Table]:
    accuracy = Table(
        title=f"{name}: {_counted(figures)}, share of pairs in the right order",
        columns=("arm", "accuracy", "95% interval", "pairs"),
        rows=[
            (arm, f"{row['value']:.3f}", _interval(row), str(row["pairs"]))
            for arm, row in figures["accuracy"].items()
        ],
    )
    best = Table(
        title=f"{name}: quality of the best answer by each arm, in %, {_counted(figures)}",
        columns=("arm", "best of n", "95% interval"),
        rows=[
            (arm, f"{100 * row['value']:.1f}", _interval(row, 100)) for arm, row in figures["best_of"].items()
        ],
    )
    return [accuracy, best]


def _counted(figures: Mapping[str, Any]) -> str:
    return f"{figures['groups']} groups of {figures['sources']} sources"


def _interval(row: Mapping[str, float | None], scale: float = 1) -> str:
    if row["low"] is None or row["high"] is None:
        return "none"
    digits = 1 if scale > 1 else 3
    return f"{scale * row['low']:.{digits}f} to {scale * row['high']:.{digits}f}"
