"""A small pool with something to learn, for tests of the report."""

from typing import Any

import numpy as np

from builders import make_pool_question
from laserve.config import PolicySettings
from laserve.lab.pools.pool import Pool, PoolArm, PoolQuestion, Recipe
from laserve.lab.report.study import Plan

FEATURES = ("bias", "task:single-doc-qa", "task:multi-doc-qa", "task:harmless", "task:math")
TASKS = {"single-doc-qa": "f1", "multi-doc-qa": "f1", "harmless": "preference", "math": "correctness"}
#: Arm -> weight of quality in its scores, by task. No arm is best on all tasks, `lost` on none.
SKILL = {
    "short": (3.0, 0.5, 0.5, 0.5),
    "long": (0.5, 3.0, 0.5, 0.5),
    "kind": (0.5, 0.5, 3.0, 1.0),
    "lost": (0.0, 0.0, 0.0, 0.0),
}
#: Settings that learn fast, since the questions are few and easy to tell apart.
POLICY = PolicySettings(alpha=0.2, epsilon=0.0, epsilon_start=0.0, prior_structure=1.0)


def make_questions(count: int) -> list[PoolQuestion]:
    rng = np.random.default_rng(0)
    questions = []
    for number in range(count):
        task = list(TASKS)[number % 4]
        n = {"harmless": 2, "math": 4}.get(task, 6)
        quality = rng.permutation([1.0, *[0.0] * (n - 1)]) if task in ("harmless", "math") else rng.random(n)
        noise = rng.normal(size=(len(SKILL), n)) * 0.3
        questions.append(
            make_pool_question(
                {arm: SKILL[arm][number % 4] * quality + noise[k] for k, arm in enumerate(SKILL)},
                quality,
                id=f"{task}-{number}",
                file=task,
                task=task,
                metric=TASKS[task],
                source=f"{task}-{number // 8}",
                x=np.array([1.0, *(float(number % 4 == other) for other in range(4))]),
            )
        )
    return questions


def make_report_pool(count: int = 240, **changes: Any) -> Pool:
    recipe = Recipe(
        arms=tuple(PoolArm(name=arm, kind="fake", options={}, free=arm == "kind") for arm in SKILL),
        generator={"kind": "fake", "model": "fake"},
        sampling={"n": 6, "temperature": 0.8},
        context={"context.encoder": "hash"},
        features=FEATURES,
        laserve="0",
    )
    given: dict[str, Any] = {"questions": tuple(make_questions(count)), "left_out": {"bad | row": 2}}
    return Pool(recipe=recipe, **given | changes)


def make_plan(**changes: Any) -> Plan:
    given: dict[str, Any] = {"policy": POLICY, "learners": ("linucb",), "orders": 4, "shadow_share": 0.25}
    return Plan(**given | changes)
