"""``laserve evaluate-rm``: accuracy of the configured arms on answers of known quality."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from laserve.config import Settings
from laserve.errors import ConfigError
from laserve.lab.data import needs
from laserve.lab.data.needs import Need
from laserve.lab.data.reading import RowFile, read
from laserve.lab.data.row import Row
from laserve.lab.data.splits import split
from laserve.lab.output import Table, counted, show, write_json
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

logger = logging.getLogger(__name__)

#: Key of the figures over all files of `data` together.
TOGETHER = "together"


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Held-out rows with the scores of every arm."""

    rows: Sequence[Row]
    #: Training rows, which decide whether longer or shorter is better for the length-only row.
    train: Sequence[Row]
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
    strict: bool = False,
) -> None:
    """Score the held-out rows of all files by every configured arm, print the tables and write the results.

    Args:
        data: files of rows for `needs.scoring`; each file has its own figures, by its label.
        preferences: files of rows for `needs.preferences`; their figures are common, by domain.
        correctness: files of rows for `needs.correctness`, likewise.
        hold_out: share of each file's sources that is scored, the last ones; 1 for all.
        rows: number of these rows of each file that are scored, the first ones; None for all.
        out: where to write the figures as JSON.
        together: whether to add figures over all files of `data`; their qualities must have one unit.
        prior_out: where to write the prior that `laserve.lab.reward_models.prior.prior` makes of data and
            correctness.
        prior_n: largest number of pseudo-observations of an arm in the prior.
        strict: whether a record that cannot be read is an error.

    Raises:
        ConfigError: no arm could be loaded, a file has no row to score, or no row gives a prior.
        InvalidRequest: a row cannot be read.
    """
    if prior_out and not (data or correctness):
        raise ConfigError.at("--prior-out", "needs --data or --correctness; a preference is not a quality")
    files = [
        (file.label, *_held(file, needs.scoring, "--data", hold_out, rows))
        for file in read(data, strict=strict)
    ]
    sets = [
        (kind, [row for file in given for row in _held(file, kind.need, option, hold_out, rows)[1]])
        for kind, option, paths in (
            (PREFERENCES, "--preferences", preferences),
            (CORRECTNESS, "--correctness", correctness),
        )
        if (given := read(paths, strict=strict, option=option))
    ]
    figures: dict[str, Any] = {}
    qualities: list[Qualities] = []
    scored: list[Scored] = []
    async with scoring(make_scorers(settings)) as arms:
        for name, train, held in files:
            scored.append(Scored(rows=held, train=train, scores=await score_all(arms, held)))
            figures[name] = figures_of(scored[-1])
            qualities.append(_of_rows(figures[name], arms.ready))
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
    file: RowFile, need: Need, option: str, hold_out: float, count: int | None
) -> tuple[list[Row], list[Row]]:
    """Training rows of a file, and the first of its held-out rows, without those that the need refuses.

    Raises:
        ConfigError: no row is held out, or none of these can be used.
    """
    train, held = split(file.rows, hold_out)
    usable, others = needs.fitting(held, need)
    reasons = Counter(file.left_out) + others
    if not usable and reasons:
        raise ConfigError.at(option, f"{file.path} has no row to score: {needs.counted(reasons)}")
    if not usable:
        why = "give --hold-out 1 to score all of it"
        raise ConfigError(f"{file.path} has no row to score; {why}", param="--hold-out")
    if reasons:
        logger.warning("%s: left out: %s", file.path, needs.counted(reasons))
    return needs.fitting(train, need)[0], usable[:count]


def joined(files: Sequence[Scored]) -> Scored:
    """Rows and scores of all files as those of one file."""
    arms = dict.fromkeys(arm for file in files for arm in file.scores)
    scores: Scores = {arm: {} for arm in arms}
    rows: list[Row] = []
    for file in files:
        for arm, by_index in file.scores.items():
            scores[arm] |= {len(rows) + index: given for index, given in by_index.items()}
        rows += file.rows
    return Scored(rows=rows, train=[row for file in files for row in file.train], scores=scores)


def figures_of(scored: Scored) -> dict[str, Any]:
    """Figures of one file.

    Returns:
        ``groups`` and ``sources``; ``accuracy`` by arm and for ``length alone``; ``best_of`` by arm,
        for ``random`` and ``possible``; and ``difference``, by arm and other arm, of the qualities of
        their best answers.
    """
    rows, train, scores = scored.rows, scored.train, scored.scores
    picked = {
        name: np.array([_picked(rows[index], by_index[index]) for index in range(len(rows))])
        for name, by_index in scores.items()
        if len(by_index) == len(rows)
    }
    sources = [row.source for row in rows]
    qualities = [np.asarray(row.qualities) for row in rows]
    bounds = {"random": [q.mean() for q in qualities], "possible": [q.max() for q in qualities]}
    return {
        "groups": len(rows),
        "sources": len(set(sources)),
        "accuracy": {
            name: asdict(measure([(rows[index], given) for index, given in by_index.items()]))
            for name, by_index in scores.items()
            if by_index
        }
        | {"length alone": asdict(length_only(rows, train or rows))},
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


def _picked(row: Row, scores: Vector) -> float:
    """Quality of the answer with the best score; the mean over a tie, whatever the order of the answers."""
    return float(np.asarray(row.qualities)[scores == np.nanmax(scores)].mean())


def _of_rows(figures: Mapping[str, Any], arms: Sequence[str]) -> Qualities:
    """Mean qualities of the arms' best answers, for arms that scored every row of the file."""
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
    return f"{counted(figures['groups'], 'group')} of {counted(figures['sources'], 'source')}"


def _interval(row: Mapping[str, float | None], scale: float = 1) -> str:
    if row["low"] is None or row["high"] is None:
        return "none"
    digits = 1 if scale > 1 else 3
    return f"{scale * row['low']:.{digits}f} to {scale * row['high']:.{digits}f}"
