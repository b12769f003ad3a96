"""The arm that blends, over a pool."""

from dataclasses import replace

import numpy as np
import pytest

from builders import make_pool, make_pool_question
from laserve.bandit.state.blending import Blending
from laserve.lab.pools.pool import Pool
from laserve.lab.replay.combining import combine
from laserve.lab.replay.schedule import Schedule
from laserve.lab.replay.table import Table, tabulate

NAN = float("nan")


def pool(count: int) -> Pool:
    """`right` knows the best candidate; the others agree on another, and `noise` lacks half the scores."""
    rng = np.random.default_rng(0)
    questions = []
    for index in range(count):
        quality = rng.random(4)
        other = np.roll(quality, 1)
        noise = [NAN] * 4 if index % 2 else (other + rng.normal(size=4) * 0.1).tolist()
        questions.append(make_pool_question({"noise": noise, "right": quality, "wrong": other}, quality))
    return make_pool(*questions)


def made(table: Table, orders: int = 3) -> Schedule:
    return Schedule.make(table.ids, orders=orders, shadow_share=0.0, seed=0)


def test_blend_learns_which_arms_to_trust_and_starts_cold_in_every_order() -> None:
    questions, steps = pool(80), []
    table = tabulate(questions)
    result = combine(questions, table, made(table), lambda: steps.append(1))
    assert result.rewards.shape == (3, 80)
    assert result.rewards[:, 40:].mean() > 0.95 * table.best_candidate.mean()
    assert result.rewards[:, :5].mean() < 0.95 * table.best_candidate.mean()
    assert len(steps) == 80


def test_it_learns_from_what_it_is_told_alone() -> None:
    questions = pool(80)
    table = tabulate(questions)
    schedule = made(table)
    nothing = combine(questions, table, schedule, learned=np.zeros((3, 80), dtype=np.bool_))
    np.testing.assert_array_equal(nothing.rewards, table.ensemble_mean[schedule.orders])
    third = np.stack([np.full(80, order == 2) for order in range(3)])
    result = combine(questions, table, schedule, learned=third).rewards
    np.testing.assert_array_equal(result[:2], nothing.rewards[:2])
    np.testing.assert_array_equal(result[2], combine(questions, table, schedule).rewards[2])


def test_before_anything_is_learned_blend_is_the_mean_of_z_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Blending, "learn", lambda *_: None)
    questions = pool(30)
    table = tabulate(questions)
    schedule = made(table)
    np.testing.assert_array_equal(
        combine(questions, table, schedule).rewards, table.ensemble_mean[schedule.orders]
    )


def test_tasks_that_are_not_declared_are_learned_together(monkeypatch: pytest.MonkeyPatch) -> None:
    labels: list[str] = []
    monkeypatch.setattr(Blending, "learn", lambda _, lesson, sign: labels.append(lesson.task))
    rows = [
        make_pool_question({"a": [0.0, 1.0], "b": [1.0, 0.0]}, [0.0, 1.0], task=task)
        for task in ("qa", "x", "y")
    ]
    questions = make_pool(*rows)
    recipe = replace(questions.recipe, context={"context.tasks": ["qa"]})
    table = tabulate(questions)
    combine(replace(questions, recipe=recipe), table, made(table, orders=1))
    assert sorted(labels) == ["other", "other", "qa"]
