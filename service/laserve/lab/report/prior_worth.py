"""What a prior from an offline evaluation is worth while the learner knows little else."""

from dataclasses import asdict
from typing import Any

import numpy as np

from laserve.lab.replay.learners import PRIOR
from laserve.lab.report.study import Replayed, Study
from laserve.lab.statistics import Interval, ratio
from laserve.types import Vector

#: Requests over which it is told.
FIRST = 100


def prior_worth(study: Study) -> dict[str, Any] | None:
    """Quality in the first requests: ``cold``, ``prior`` and ``difference``, each ``value``, ``low`` and
    ``high``, and ``requests``, how many these are. None where no prior was given.
    """
    runs = {run.name: run for run in study.whole.runs}
    cold = study.plan.learners[0]
    if cold + PRIOR not in runs:
        return None
    first = min(FIRST, len(study.whole.table))
    without, given = (runs[name].rewards[:, :first] for name in (cold, cold + PRIOR))
    told = {"cold": without, "prior": given, "difference": given - without}
    return {
        "requests": first,
        **{name: asdict(_mean(study.whole, values, first)) for name, values in told.items()},
    }


def _mean(replayed: Replayed, values: Vector, first: int) -> Interval:
    where, count = replayed.schedule.orders[:, :first].ravel(), len(replayed.table)
    parts = np.bincount(where, weights=values.ravel(), minlength=count).astype(np.float64)
    wholes = np.bincount(where, minlength=count).astype(np.float64)
    return ratio(parts, wholes, replayed.table.sources)
