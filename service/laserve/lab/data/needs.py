"""What each command needs of a row."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from laserve.errors import ConfigError
from laserve.lab.data.reading import RowFile
from laserve.lab.data.row import CORRECTNESS, PREFERENCE, Row

logger = logging.getLogger(__name__)

#: Command -> the reason why it cannot use a row; None if it can.
Need = Callable[[Row], str | None]


def training(row: Row) -> str | None:
    """Need of `train-rm`: answers that differ in quality."""
    if len(row.answers) < 2:
        return "fewer than two answers of known quality"
    return None if row.instructive else "no answer is better than another"


def training_with_references(row: Row) -> str | None:
    """Need of `train-rm --references`, the default: the right answer is one of the answers."""
    return training(row.with_reference())


def scoring(row: Row) -> str | None:
    """Need of `evaluate-rm --data`: two answers or more."""
    return None if len(row.answers) >= 2 else "fewer than two answers of known quality"


def preferences(row: Row) -> str | None:
    """Need of `evaluate-rm --preferences`: two answers that people compared."""
    return (
        None if row.metric == PREFERENCE and len(row.answers) == 2 else "not two answers that people compared"
    )


def correctness(row: Row) -> str | None:
    """Need of `evaluate-rm --correctness`: two answers or more, each right or wrong."""
    right = row.metric == CORRECTNESS and {*row.qualities} <= {0.0, 1.0}
    return None if right and len(row.answers) >= 2 else "not two answers or more that are right or wrong"


def selecting(row: Row) -> str | None:
    """Need of `bench selection`: right answers to measure candidates by, or two stored answers."""
    return None if row.references or len(row.answers) >= 2 else "neither right answers nor two stored answers"


def asking(row: Row) -> str | None:
    """Need of `demo`: right answers to measure candidates by."""
    return None if row.references else "no right answers"


def sampling(row: Row) -> str | None:
    """Need of `fit-context`: a request, which every row has."""
    return None


NEEDS: Mapping[str, Need] = {
    "train-rm --data": training_with_references,
    "evaluate-rm --data": scoring,
    "evaluate-rm --preferences": preferences,
    "evaluate-rm --correctness": correctness,
    "bench selection --data": selecting,
    "fit-context --data": sampling,
    "demo --data": asking,
}


def fitting(rows: Iterable[Row], need: Need) -> tuple[list[Row], Counter[str]]:
    """The rows that meet a need, and reason -> number of the others."""
    fit: list[Row] = []
    reasons: Counter[str] = Counter()
    for row in rows:
        if (reason := need(row)) is None:
            fit.append(row)
        else:
            reasons[reason] += 1
    return fit, reasons


def usable(file: RowFile, need: Need) -> tuple[list[Row], Counter[str]]:
    """Rows of a file that a command can use, and reason -> number of its other records."""
    rows, reasons = fitting(file.rows, need)
    left_out = Counter(file.left_out) + reasons
    return rows, left_out + Counter({"cannot be read": len(file.bad)})


def required(file: RowFile, need: Need, use: str) -> tuple[list[Row], Counter[str]]:
    """The same as `usable`; a warning counts the other records by reason.

    Args:
        use: what is done with a row, for the error, for example ``be asked``.

    Raises:
        ConfigError: the command can use no row.
    """
    rows, left_out = usable(file, need)
    if not rows:
        raise ConfigError.at("--data", f"{file.path} has no row that can {use}: {counted(left_out)}")
    if left_out:
        logger.warning("%s: left out: %s", file.path, counted(left_out))
    return rows, left_out


def counted(reasons: Mapping[str, int]) -> str:
    """Reasons with their numbers of records, for messages."""
    return ", ".join(f"{reason} ({count})" for reason, count in reasons.items())
