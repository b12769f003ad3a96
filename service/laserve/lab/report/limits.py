"""Upper bounds of the gain from choosing arms."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from laserve.lab.replay.hindsight import best_of_task, best_single
from laserve.lab.replay.table import Table

#: Differences in quality below this one count as none.
_EQUAL = 1e-9


def limits(table: Table) -> dict[str, Any]:
    """Bounds of the gain over all questions, in quality 0..1.

    Returns:
        ``best_single``, the arm; ``by_task``: its quality, the task's best arm, the ``gain`` of that arm, and
        ``cross_fitted_gain``, with both arms chosen on other sources (`laserve.lab.replay.hindsight`);
        ``alike``, the share of questions on which all arms' answers are equally good; ``best_per_question``,
        the gain over the best single arm with each question's best arm; and ``best_candidate``, the gain
        with each question's best candidate.
    """
    means = table.rewards.mean(axis=0)
    single = int(means.argmax())
    every = table.where()
    crossed = best_of_task(table, every, cross_fitted=True).rewards(table)
    crossed -= best_single(table, every, cross_fitted=True).rewards(table)
    by_task = {}
    for task in dict.fromkeys(table.tasks):
        rows = table.where(task=task)
        of_task = table.rewards[rows].mean(axis=0)
        by_task[task] = {
            "questions": int(rows.sum()),
            "best_single": float(of_task[single]),
            "arm": table.arms[int(of_task.argmax())],
            "gain": float(of_task.max() - of_task[single]),
            "cross_fitted_gain": float(crossed[rows].mean()),
        }
    spread = np.ptp(table.rewards, axis=1)
    return {
        "best_single": table.arms[single],
        "by_task": by_task,
        "alike": float((spread < _EQUAL).mean()),
        "best_per_question": float(table.rewards.max(axis=1).mean() - means[single]),
        "best_candidate": float(table.best_candidate.mean() - means[single]),
    }


def described(figures: Mapping[str, Any]) -> str:
    """The limits in two or three sentences."""
    single = figures["best_single"]
    gaining = [
        f"{row['arm']} gains {100 * row['gain']:.1f} points on {task}"
        for task, row in figures["by_task"].items()
        if row["gain"] > _EQUAL
    ]
    first = (
        f"Against {single}, the best single arm, {'; '.join(gaining)}."
        if gaining
        else f"{single}, the best single arm, is the best for every task."
    )
    return (
        f"{first} On {100 * figures['alike']:.0f}% of the questions all arms' answers are equally good. "
        "With hindsight, the best arm of each question would gain "
        f"{100 * figures['best_per_question']:.1f} points over {single}, "
        f"the best candidate of each {100 * figures['best_candidate']:.1f}."
    )
