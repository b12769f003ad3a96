"""Mean qualities with intervals over sources, of policies and of arms chosen with hindsight."""

import numpy as np
import pytest

from laserve.lab.replay.estimates import Estimates
from laserve.lab.replay.outcomes import outcomes
from laserve.lab.replay.schedule import Schedule
from laserve.lab.replay.table import Table
from laserve.lab.statistics import SHARE, mean
from replay_tables import make_table, two_tasks


def estimates(table: Table, *, late: bool = False, task: str | None = None) -> Estimates:
    schedule = Schedule.make(table.ids, orders=4, shadow_share=0.0, seed=0)
    return Estimates(outcomes(table, schedule, []), table.where(task=task), late=late)


def value(of: Estimates, policy: str) -> float:
    return of.means({policy: of.quality(policy)})[policy].value


def test_a_value_is_the_mean_over_the_questions() -> None:
    table = make_table(np.random.default_rng(0).random((40, 3)))
    result = estimates(table)
    assert value(result, "fixed:a") == pytest.approx(table.rewards[:, 0].mean())
    singles = [value(result, f"fixed:{arm}") for arm in table.arms]
    assert np.mean(singles) == pytest.approx(value(result, "random"))


def test_an_interval_is_over_the_sources() -> None:
    rng = np.random.default_rng(0)
    sources = tuple(f"s{index // 4}" for index in range(120))
    rewards = np.repeat(rng.random((30, 2)), 4, axis=0)
    result = estimates(make_table(rewards, sources=sources))
    own = result.means({"fixed:a": result.quality("fixed:a")})["fixed:a"]
    assert own == mean(rewards[:, 0], sources, within=SHARE)
    assert own.sources == 30


def test_differences_have_the_interval_of_the_differences_by_question() -> None:
    rng = np.random.default_rng(1)
    table = make_table(rng.random((50, 2)))
    of = estimates(table)
    result = of.differences({"a": of.quality("fixed:a")}, of.quality("fixed:b"))["a"]
    assert result == mean(table.rewards[:, 0] - table.rewards[:, 1], table.sources)


def test_the_best_single_arm_is_kept_so_that_its_own_difference_has_width_0() -> None:
    table = make_table(np.random.default_rng(0).random((30, 2)))  # as good as each other
    of = estimates(table)
    best = f"fixed:{of.best_arm}"
    result = of.differences({best: of.quality(best)}, of.chosen(of.kept_single))[best]
    assert (result.value, result.low, result.high) == (0.0, 0.0, 0.0)


def test_the_best_arm_of_each_task_is_named() -> None:
    of = estimates(two_tasks(40))
    assert of.best_arms == {"a": "a", "b": "b"}
    values = of.means({"single": of.chosen(of.kept_single), "task": of.chosen(of.kept_of_task)})
    assert values["task"].value == pytest.approx(0.9, abs=0.05)
    assert values["single"].value == pytest.approx(0.5, abs=0.05)


def test_only_the_rows_asked_for_count() -> None:
    of = estimates(two_tasks(40), task="a")
    assert (of.questions, of.sources, of.best_arms) == (20, 20, {"a": "a"})
    assert value(of, "fixed:a") == pytest.approx(0.9, abs=0.05)


def test_the_last_third_weighs_questions_by_how_often_they_came_late() -> None:
    table = make_table(np.random.default_rng(0).random((9, 2)))
    schedule = Schedule.make(table.ids, orders=2, shadow_share=0.0, seed=0)
    late = Estimates(outcomes(table, schedule, []), table.where(), late=True)
    last = schedule.orders[:, 6:].ravel()
    assert value(late, "fixed:b") == pytest.approx(table.rewards[last, 1].mean())


def test_the_last_third_is_compared_with_the_arm_that_is_best_over_all_questions() -> None:
    rewards = np.array([[0.0, 0.9]] * 6 + [[1.0, 0.0]] * 3)
    table = make_table(rewards)
    schedule = Schedule.make(table.ids, orders=1, shadow_share=0.0, seed=0)
    turned = Schedule(
        orders=np.arange(9)[None], draws=schedule.draws, seeds=schedule.seeds, shadowed=schedule.shadowed
    )
    late = Estimates(outcomes(table, turned, []), table.where(), late=True)
    assert late.best_arm == "b"
    assert late.means({"best": late.chosen(late.kept_single)})["best"].value == 0.0


def test_a_share_is_a_ratio_of_sums_and_absent_where_the_whole_is_not_positive() -> None:
    rng = np.random.default_rng(3)
    of = estimates(make_table(rng.random((40, 2))))
    part, whole = rng.random(40), 0.5 + rng.random(40)
    result = of.share(part, whole)
    assert result is not None
    assert result.value == pytest.approx(part.sum() / whole.sum())
    assert of.share(part, -whole) is None
    assert of.share(part, 0 * whole) is None
