"""All figures of a study, as JSON values."""

from dataclasses import asdict
from typing import Any

import numpy as np

from laserve.lab.pools.pool import Pool
from laserve.lab.replay.learning import DELAY
from laserve.lab.report.blocks import QUALITY, block
from laserve.lab.report.curves import best_of_k, learning, prior_worth, shares
from laserve.lab.report.findings import findings
from laserve.lab.report.limits import limits
from laserve.lab.report.study import F1, Study

#: Policy settings that do not affect learning in a replay.
_NO_PARAMETERS = {
    "name",
    "seed",
    "learn_from",
    "mode",
    "observe_arm",
    "live_share",
    "discount",
    "reward_scaling",
    "on_change",
}


def figures(study: Study) -> dict[str, Any]:
    """All figures of a report.

    Returns:
        At the top level, a block (`laserve.lab.report.blocks`) over the questions measured
        in F1, if there are any; ``metrics``, a block for each other metric; ``tasks``, one for each task;
        ``mixture``, one over all questions, in quality; ``findings``; ``limits``; ``prior``; ``learning``;
        ``shares``; ``best_of_k``; ``pool`` and ``replay``, the data and settings.
    """
    table, outcomes = study.whole.table, study.whole.outcomes
    f1 = table.where(metric=F1)
    others = [metric for metric in dict.fromkeys(table.metrics) if metric != F1]
    tasks = {}
    for task in dict.fromkeys(table.tasks):
        rows = table.where(task=task)
        (metric, *more) = {one for one, here in zip(table.metrics, rows, strict=True) if here}
        tasks[task] = block(outcomes, rows, QUALITY if more else metric)
    return {
        **(block(outcomes, f1, F1) if f1.any() else {"metric": F1, "questions": 0, "policies": {}}),
        "metrics": {metric: block(outcomes, table.where(metric=metric), metric) for metric in others},
        "tasks": tasks,
        "mixture": block(outcomes, table.where(), QUALITY),
        "findings": [asdict(finding) for finding in findings(study)],
        "limits": limits(table),
        "prior": prior_worth(study),
        "learning": learning(study.whole),
        "shares": shares(study.whole),
        "best_of_k": best_of_k(study.pool),
        "pool": _pool(study.pool),
        "replay": _replay(study),
    }


def _pool(pool: Pool) -> dict[str, Any]:
    recipe = pool.recipe.to_json()
    return {
        "questions": len(pool.questions),
        "files": {
            file: sum(question.file == file for question in pool.questions)
            for file in dict.fromkeys(question.file for question in pool.questions)
        },
        "left_out": dict(pool.left_out),
        "unscored": {
            arm: count
            for arm in pool.arms
            if (count := sum(bool(np.isnan(one.scores[arm]).all()) for one in pool.questions))
        },
        "arms": recipe["arms"],
        "generator": recipe["generator"],
        "sampling": recipe["sampling"],
        "context": recipe["context"],
        "laserve": recipe["laserve"],
    }


def _replay(study: Study) -> dict[str, Any]:
    policy = study.plan.policy
    return {
        "orders": study.plan.orders,
        "shadow_share": study.plan.shadow_share,
        "delay": DELAY,
        "seed": policy.seed,
        "learners": list(study.plan.learners),
        "parameters": policy.model_dump(mode="json", exclude=_NO_PARAMETERS),
    }
