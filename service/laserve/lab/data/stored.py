"""Reader of rows with stored answers: preferences, right and wrong answers, or an exported log."""

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from laserve.lab.data import answers
from laserve.lab.data.cases import (
    BARE,
    CORRECTNESS,
    PREFERENCE,
    REWARD,
    TIMEOUT_S,
    Case,
    LeftOut,
    Location,
    Stored,
    text,
)
from laserve.lab.data.rows import Group, group

#: Columns of a row's answers -> metric of their qualities.
COLUMNS = {
    answers.PAIR: PREFERENCE,
    answers.JUDGED: CORRECTNESS,
    answers.REWARDED: REWARD,
}


def read(row: Mapping[str, Any], location: Location) -> Case | LeftOut:
    """The case of one row; its candidates are the stored answers.

    The candidates are shuffled by the row's id: files list the better answer first, or order answers by
    model, so the index would favour a scorer that breaks ties by it.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the row has another form.
    """
    metric = next(metric for columns, metric in COLUMNS.items() if all(name in row for name in columns))
    stored = group(row, location.row)
    if stored is None or len(stored.texts) < 2:
        return LeftOut(reason="fewer than two answers of known quality")
    return Case(
        id=stored.id,
        file=location.file,
        task=text(row.get("task") or row.get("domain") or location.file, "task"),
        source=stored.source,
        request=replace(stored.request, sampling=BARE, timeout_s=TIMEOUT_S),
        metric=metric,
        stored=_shuffled(stored),
    )


def _shuffled(stored: Group) -> Stored:
    order = list(range(len(stored.texts)))
    random.Random(stored.id).shuffle(order)  # noqa: S311 - reproducible order
    return Stored(
        texts=tuple(stored.texts[index] for index in order),
        qualities=tuple(stored.rewards[index] for index in order),
        logprobs=tuple(stored.logprobs[index] for index in order) if stored.logprobs else (),
    )
