"""Rows of a training: those to learn from, and those that are held out."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from laserve.errors import ConfigError
from laserve.lab.data import needs
from laserve.lab.data.reading import RowFile, read
from laserve.lab.data.row import Row
from laserve.lab.data.splits import first, split

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TrainingRows:
    """Rows of all files that have answers of different quality."""

    train: Sequence[Row]
    #: Label of a file -> its held-out rows.
    held: Mapping[str, Sequence[Row]]


def training_rows(
    data: Sequence[Path], *, hold_out: float, count: int | None, references: bool, strict: bool
) -> TrainingRows:
    """The rows of files; a warning counts by reason those that cannot be used.

    Args:
        hold_out: share of each file's sources that is held out, the last ones.
        count: number of training rows of each file, the first ones; None for all.
        references: whether the right answer of a training row is an answer to learn from.
        strict: whether a record that cannot be read is an error.

    Raises:
        ConfigError: a file has no training row, or is given twice.
        InvalidRequest: a file cannot be read.
    """
    train: list[Row] = []
    held: dict[str, Sequence[Row]] = {}
    for file in read(data, strict=strict):
        ours, theirs = split(file.rows, hold_out)
        if references:
            ours = [row.with_reference() for row in ours]
        train += first(_usable(file, ours), count)
        held[file.label], _ = needs.fitting(theirs, needs.training)
    return TrainingRows(train=train, held=held)


def _usable(file: RowFile, rows: Sequence[Row]) -> list[Row]:
    """The rows to learn from, of those that are not held out. Raises ConfigError if there is none."""
    usable, others = needs.fitting(rows, needs.training)
    reasons = Counter(file.left_out) + others
    if not usable:
        reasons += Counter({"cannot be read": len(file.bad)})
        why = needs.counted(reasons) if reasons else "all are held out; give a smaller --hold-out"
        raise ConfigError.at("--data", f"{file.path} has no row to learn from: {why}")
    if reasons:
        logger.warning("%s: left out: %s", file.path, needs.counted(reasons))
    return usable
