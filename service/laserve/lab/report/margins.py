"""LASeR's published margins over a random choice of reward models, beside the margins in the pool."""

from typing import Any

from laserve.lab.replay.outcomes import RANDOM
from laserve.lab.replay.resampled import Resampled
from laserve.lab.report.blocks import with_interval
from laserve.lab.report.study import F1, Replayed, Study

#: Task -> F1 points that LinUCB gained over a random choice with Llama-3-8B on LongBench (arXiv 2410.01735v1,
#: abstract).
LASER = {"single-doc-qa": 2.64, "multi-doc-qa": 2.42}


def margins(study: Study) -> dict[str, Any]:
    """Margins: ``weakest``, the arm left out in the second comparison; and ``tasks``, for each task of LASeR
    in the pool: ``laser``, its margin in F1 points; ``ours``, by learner the difference to random, F1 0..1;
    and ``without_weakest``, the differences without the weakest arm.
    """
    tasks = {}
    for task, points in LASER.items():
        if study.whole.table.where(task=task, metric=F1).any():
            tasks[task] = {
                "laser": points,
                "ours": _gained(study.whole, task),
                "without_weakest": _gained(study.without, task) if study.without else None,
            }
    return {"weakest": study.weakest, "tasks": tasks}


def _gained(replayed: Replayed, task: str) -> dict[str, Any]:
    of = Resampled(replayed.outcomes, replayed.table.where(task=task, metric=F1))
    return {run.name: with_interval(of.value(run.name) - of.value(RANDOM), F1) for run in replayed.runs}
