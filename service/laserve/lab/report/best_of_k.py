"""Quality against the number of candidates: where it falls, the reward model is over-optimised."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from laserve.lab.pools.pool import Pool, PoolQuestion
from laserve.lab.reward_models.ppe.best_of import curve


def curves(pool: Pool) -> dict[str, Any]:
    """By task: ``k``; ``arms``, by name the mean quality of the best of k by that arm, exactly; ``possible``,
    the same by the quality itself; and ``falls``, by arm the k after which its curve only falls, if it does.

    An arm's curve is over the questions that it has scores of, and up to the fewest candidates of a question.
    """
    by_task: dict[str, list[PoolQuestion]] = {}
    for question in pool.questions:
        by_task.setdefault(question.task, []).append(question)
    return {task: _task(pool.arms, questions) for task, questions in by_task.items()}


def _task(arms: Sequence[str], questions: Sequence[PoolQuestion]) -> dict[str, Any]:
    longest = min(len(question.qualities) for question in questions)
    found = {}
    for arm in arms:
        scored = [question for question in questions if not np.isnan(question.scores[arm]).all()]
        if scored:
            found[arm] = np.mean(
                [curve(question.scores[arm], question.qualities)[:longest] for question in scored], axis=0
            )
    possible = np.mean([curve(one.qualities, one.qualities)[:longest] for one in questions], axis=0)
    return {
        "k": list(range(1, longest + 1)),
        "arms": {arm: values.tolist() for arm, values in found.items()},
        "possible": possible.tolist(),
        "falls": {
            arm: int(values.argmax()) + 1 for arm, values in found.items() if values.argmax() + 1 < longest
        },
    }
