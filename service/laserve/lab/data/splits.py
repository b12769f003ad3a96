"""Split of a file's rows into training and held-out rows, by source."""

from collections.abc import Iterable, Sequence
from itertools import islice

from laserve.lab.data.row import Row


def split(rows: Sequence[Row], share: float) -> tuple[list[Row], list[Row]]:
    """Training and held-out rows: the last sources of the rows are held out.

    Every command splits all rows of a file, before it leaves out the rows that it cannot use: then a row that
    `train-rm` learns from is never one that `evaluate-rm` scores with an equal share.

    Args:
        share: share of the sources that is held out, in [0, 1]; at 1 all rows are held out.
    """
    sources = list(dict.fromkeys(row.source for row in rows))
    held = set(sources[len(sources) - round(len(sources) * share) :])
    return [row for row in rows if row.source not in held], [row for row in rows if row.source in held]


def first(rows: Iterable[Row], count: int | None) -> list[Row]:
    """The first `count` rows; all of them for None."""
    return list(islice(rows, count))
