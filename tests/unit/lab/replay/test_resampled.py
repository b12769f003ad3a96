"""Figures with intervals: sources are resampled whole, and the best arm is chosen anew in each resample."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laserve.lab.replay.outcomes import outcomes
from laserve.lab.replay.resampled import Resampled
from laserve.lab.replay.schedule import Schedule
from laserve.lab.replay.table import Table
from laserve.lab.statistics import RESAMPLES, interval, mean
from replay_tables import make_table, two_tasks


def resampled(table: Table, *, late: bool = False, task: str | None = None) -> Resampled:
    schedule = Schedule.make(table.ids, orders=4, shadow_share=0.0, seed=0)
    return Resampled(outcomes(table, schedule, []), table.where(task=task), late=late)


def test_a_value_is_the_mean_and_every_policy_is_resampled_alike() -> None:
    table = make_table(np.random.default_rng(0).random((40, 3)))
    result = resampled(table)
    assert result.value("fixed:a")[0] == pytest.approx(table.rewards[:, 0].mean())
    assert result.value("random").shape == (1 + RESAMPLES,)
    np.testing.assert_allclose(result.singles().mean(axis=0), result.value("random"))


def test_an_interval_is_that_of_a_bootstrap_over_sources() -> None:
    rng = np.random.default_rng(0)
    sources = tuple(f"s{index // 4}" for index in range(120))
    rewards = np.repeat(rng.random((30, 2)), 4, axis=0)
    result = interval(resampled(make_table(rewards, sources=sources)).value("fixed:a"))
    other = mean(rewards[:, 0], sources)
    assert result.value == pytest.approx(other.value)
    assert result.low == pytest.approx(other.low, abs=0.015)
    assert result.high == pytest.approx(other.high, abs=0.015)
    alone = interval(resampled(make_table(rewards)).value("fixed:a"))
    assert alone.high - alone.low < 0.7 * (result.high - result.low), "as if rows were independent"


@given(seed=st.integers(0, 30))
def test_the_best_single_arm_is_at_least_every_arm_and_at_most_the_best_of_each_task(seed: int) -> None:
    table = two_tasks(20, arms=((0.6, 0.4), (0.4, 0.5)))
    result = resampled(table)
    assert (result.best_single() >= result.singles() - 1e-12).all()
    assert (result.best_arm() >= result.best_single() - 1e-12).all()
    assert (result.best_candidate() >= result.best_arm() - 1e-12).all()


def test_the_best_single_arm_is_chosen_anew_in_each_resample() -> None:
    rng = np.random.default_rng(0)
    table = make_table(rng.random((30, 2)))  # as good as each other
    result = resampled(table)
    assert len(set(result.singles().argmax(axis=0).tolist())) == 2
    assert interval(result.best_single() - result.value("fixed:a")).low >= 0.0


def test_the_best_arm_of_each_task_is_named() -> None:
    result = resampled(two_tasks(40))
    assert result.best_arms() == {"a": "a", "b": "b"}
    assert result.best_arm()[0] == pytest.approx(0.9, abs=0.05)
    assert result.best_single()[0] == pytest.approx(0.5, abs=0.05)


def test_only_the_rows_asked_for_count() -> None:
    result = resampled(two_tasks(40), task="a")
    assert (result.questions, result.sources, result.tasks) == (20, 20, ("a",))
    assert result.value("fixed:a")[0] == pytest.approx(0.9, abs=0.05)


def test_the_last_third_weighs_questions_by_how_often_they_came_late() -> None:
    table = make_table(np.random.default_rng(0).random((9, 2)))
    schedule = Schedule.make(table.ids, orders=2, shadow_share=0.0, seed=0)
    late = Resampled(outcomes(table, schedule, []), table.where(), late=True)
    last = schedule.orders[:, 6:].ravel()
    assert late.value("fixed:b")[0] == pytest.approx(table.rewards[last, 1].mean())
